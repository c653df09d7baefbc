export DIB_GUESTAGENT_DATABASE_UNITS="mariadb.service mariadb.socket"
export DIB_GUESTAGENT_DATABASE_DATA="/var/lib/mysql"
