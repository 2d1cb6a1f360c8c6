if(TARGET test_sluice)
  penstock_fuzzer(sluice_reader LINK test_sluice)
  penstock_fuzzer(sluice_body LINK test_sluice)
endif()
