# A directory that `guestagent-image wheelhouse` wrote; see README.rst.
export DIB_GUESTAGENT_WHEELHOUSE=${DIB_GUESTAGENT_WHEELHOUSE:-}
# Whom the control plane's files are for: Trove's injected_config_owner.
export DIB_GUESTAGENT_INJECTED_OWNER=${DIB_GUESTAGENT_INJECTED_OWNER:-ubuntu}
# Set by the element of the datastore: its units, which must never start by themselves, and the data that its
# packages made.
export DIB_GUESTAGENT_DATABASE_UNITS=${DIB_GUESTAGENT_DATABASE_UNITS:-}
export DIB_GUESTAGENT_DATABASE_DATA=${DIB_GUESTAGENT_DATABASE_DATA:-}
