foreach(name deflate deflated extension frame handshake mask reader utf8)
  penstock_fuzzer(ws_${name} LINK penstock_ws)
endforeach()
