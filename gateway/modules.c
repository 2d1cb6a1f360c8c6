/* SPDX-License-Identifier: BSD-2-Clause */
#include "modules.h"

#include "bridge/conf.h"
#include "bridge/exchange.h"
#include "bridge/limits.h"
#include "bridge/operate.h"
#include "bridge/pool.h"
#include "bridge/publish.h"
#include "bridge/upgrade.h"
#include "io/tls.h"
#include "route/map.h"
#include "route/split_clients.h"
#include "serve/access.h"
#include "serve/access_log.h"
#include "serve/auth.h"
#include "serve/auth_request.h"
#include "serve/body.h"
#include "serve/body_filters.h"
#include "serve/cache.h"
#include "serve/core.h"
#include "serve/encodings.h"
#include "serve/geo.h"
#include "serve/headers.h"
#include "serve/limit.h"
#include "serve/limit_rate.h"
#include "serve/mirror.h"
#include "serve/pages.h"
#include "serve/path.h"
#include "serve/proxy.h"
#include "serve/real_ip.h"
#include "serve/referer.h"
#include "serve/resolving.h"
#include "serve/rewrite.h"
#include "serve/secure_link.h"
#include "serve/ssl.h"
#include "serve/static.h"
#include "serve/stats.h"
#include "serve/temp.h"
#include "serve/try_files.h"
#include "serve/tuning.h"
#include "serve/types.h"
#include "serve/upstream.h"
#include "serve/userid.h"
#include "serve/variables.h"
#include "serve/zone.h"
#include "settings.h"

/* One line each, so that a line can be added. */
/* clang-format off */
struct conf_module *const gateway_modules[] = {
    &settings_module,
    &map_module,
    &core_module,
    &error_log_module, /* after core: sets its log */
    &ssl_module, /* after core: looks at its listens */
    &access_log_module,
    &types_module,
    &path_module,
    &static_module,
    &try_files_module,
    &access_module,
    &real_ip_module,
    &geo_module,
    &split_clients_module,
    &referer_module,
    &secure_link_module,
    &auth_basic_module,
    &auth_jwt_module,
    &limit_conn_module,
    &auth_request_module,
    &mirror_module,
    &limit_req_module,
    &limit_rate_module,
    &rewrite_module,
    &resolver_module,
    &upstream_module,
    &upstream_server_module,
    &upstream_method_module,
    &temp_module,
    &body_module,
    &upstream_zone_module,
    &upstream_status_module,
    &upstream_sticky_module,
    &proxy_module,
    &proxy_store_module,
    &cache_module,
    &proxy_cache_module,
    &proxy_rewrite_module,
    &proxy_socket_module,
    &proxy_ssl_module,
    &health_module, /* after proxy: looks at its upstream */
    &backend_module,
    &backend_method_module,
    &websocket_module,
    &websocket_limits_module,
    &backend_pass_module,
    &operate_module,
    &publish_module,
    &tuning_module,
    &encoding_module,
    &gzip_module,
    &gunzip_module,
    &brotli_module,
    &precompressed_module,
    &sub_filter_module,
    &charset_module,
    &addition_module,
    &ssi_module,
    &slice_module,
    &autoindex_module,
    &empty_gif_module,
    &stub_status_module,
    &headers_module,
    &userid_module,
    &browser_module,
    &filters_module, /* after what filters */
    &zone_module, /* the last: all others have named their zones */
    NULL,
};

const struct variable *const gateway_variables[] = {
    serve_variables,
    connection_variables,
    userid_variables,
    browser_variables,
    path_variables,
    limit_variables,
    auth_jwt_variables,
    limit_rate_variables,
    real_ip_variables,
    referer_variables,
    secure_link_variables,
    proxy_variables,
    upstream_variables,
    body_variables,
    ssl_variables,
    websocket_variables,
    encoding_variables,
    ssi_variables,
    slice_variables,
    stats_variables,
    NULL,
};
/* clang-format on */

void modules_start(void)
{
    tls_start();
    stats_start();
    request_set_upgrade(bridge_upgrade);
    request_set_upgrade_refused(bridge_upgrade_refused);
}
