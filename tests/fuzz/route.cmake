foreach(name locations origin regex value)
  penstock_fuzzer(route_${name} LINK penstock_route)
endforeach()
