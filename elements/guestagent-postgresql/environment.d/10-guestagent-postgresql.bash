export DIB_GUESTAGENT_DATABASE_UNITS="postgresql.service"
export DIB_GUESTAGENT_DATABASE_DATA="/var/lib/postgresql"
