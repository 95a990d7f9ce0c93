-- SPDX-License-Identifier: Apache-2.0
-- Views for people with an SQLite shell; nothing of ours reads them. docs/runs/journal.md describes them.

CREATE VIEW token_latency AS
SELECT variant, policy, network, request, position,
    position = min(position) OVER (PARTITION BY variant, request) AS is_first,
    (end_ns - tokens.begin_ns) / 1e6 AS latency_ms
FROM tokens JOIN variants USING (variant);

CREATE VIEW layer_latency AS
SELECT variant, policy, network, exchange, request, position, phase, layer, tokens,
    bs_compute_ns / 1e6 AS bs_compute_ms,
    (end_ns - depart_ns) / 1e6 AS exchange_ms,
    (end_ns - depart_ns + bs_compute_ns) / 1e6 AS latency_ms,
    (SELECT name FROM transfers JOIN devices USING (variant, device)
        WHERE transfers.variant = e.variant AND transfers.exchange = e.exchange AND uplink_end_ns IS NOT NULL
        ORDER BY uplink_end_ns DESC, device LIMIT 1) AS last_device
FROM exchanges e JOIN variants USING (variant);

CREATE VIEW transfer_latency AS
SELECT variant, policy, network, exchange, layer, phase, name AS device, t.tokens, downlink_bytes, uplink_bytes, status,
    (downlink_end_ns - depart_ns) / 1e6 AS downlink_ms,
    (compute_end_ns - downlink_end_ns) / 1e6 AS compute_ms,
    (uplink_end_ns - compute_end_ns) / 1e6 AS uplink_ms
FROM transfers t JOIN exchanges USING (variant, exchange) JOIN variants USING (variant)
    JOIN devices USING (variant, device);
