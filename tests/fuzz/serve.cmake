penstock_fuzzer(serve_ssi LINK penstock_serve)
penstock_fuzzer(serve_cache LINK penstock_serve)
