penstock_fuzzer(http_request LINK penstock_http)
penstock_fuzzer(http_response LINK penstock_http)
penstock_fuzzer(http_uri LINK penstock_http)
