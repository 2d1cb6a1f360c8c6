penstock_fuzzer(serve_ssi LINK penstock_serve)
