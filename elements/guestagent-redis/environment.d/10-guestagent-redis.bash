export DIB_GUESTAGENT_DATABASE_UNITS="redis-server.service"
export DIB_GUESTAGENT_DATABASE_DATA="/var/lib/redis"
