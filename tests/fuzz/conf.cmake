foreach(name tree apply)
  penstock_fuzzer(conf_${name} LINK penstock_conf PkgConfig::CMOCKA)
endforeach()
