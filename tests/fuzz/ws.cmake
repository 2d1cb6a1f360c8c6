foreach(name deflate deflated extension frame handshake hixie mask reader utf8)
  penstock_fuzzer(ws_${name} LINK penstock_ws)
endforeach()
