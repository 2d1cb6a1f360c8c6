if(PENSTOCK_FUZZERS AND TARGET bridge_world)
  penstock_fuzzer(bridge_link LINK bridge_world)
  # Time passes only when the target says so.
  target_link_options(fuzz_bridge_link PRIVATE -Wl,--wrap=clock_gettime
                                               -Wl,--wrap=usleep)
endif()
