# A place in Berlin, from degrees to metres of the zone it is in: GEOS, PROJ and udunits at work.
library(sf)

place <- st_sfc(st_point(c(13.4, 52.5)), crs = 4326)
print(round(st_coordinates(st_transform(place, 25833))))
