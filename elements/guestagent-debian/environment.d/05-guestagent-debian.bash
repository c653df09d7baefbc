# Before debian-minimal, which takes what is set.
export DIB_RELEASE=${DIB_RELEASE:-bookworm}
# For Debian, dib-python believes in Python 2.
export DIB_PYTHON_VERSION=3
export DIB_GRUB_TIMEOUT=${DIB_GRUB_TIMEOUT:-0}
# Where the control plane's files come from: Nova's drive, or its metadata service.
export DIB_CLOUD_INIT_DATASOURCES=${DIB_CLOUD_INIT_DATASOURCES:-"ConfigDrive, OpenStack, NoCloud"}
# Where the image itself finds packages; the mirror that it was built from may be nobody else's.
export DIB_GUESTAGENT_DEBIAN_MIRROR=${DIB_GUESTAGENT_DEBIAN_MIRROR:-http://deb.debian.org/debian}
export DIB_GUESTAGENT_DEBIAN_SECURITY_MIRROR=${DIB_GUESTAGENT_DEBIAN_SECURITY_MIRROR:-http://deb.debian.org/debian-security}
