penstock_fuzzer(base_json LINK penstock_base)
