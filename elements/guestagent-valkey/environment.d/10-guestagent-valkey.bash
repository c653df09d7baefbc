export DIB_GUESTAGENT_DATABASE_UNITS="valkey-server.service"
export DIB_GUESTAGENT_DATABASE_DATA="/var/lib/valkey"
# Debian has it since its release 13, and among the backports of 12.
if [ "${DIB_RELEASE:-bookworm}" = bookworm ]; then
    export DIB_GUESTAGENT_DEBIAN_BACKPORTS=1
fi
