# After debian-minimal, which makes the list, and the datastores' elements, which ask for it.
export DIB_GUESTAGENT_DEBIAN_BACKPORTS=${DIB_GUESTAGENT_DEBIAN_BACKPORTS:-0}
if [ "${DIB_GUESTAGENT_DEBIAN_BACKPORTS}" = 1 ]; then
    DIB_APT_SOURCES_CONF+="
backports:deb ${DIB_DISTRIBUTION_MIRROR} ${DIB_RELEASE}-backports main"
fi
