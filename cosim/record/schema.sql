-- SPDX-License-Identifier: Apache-2.0
-- The journal's tables. Times end in _ns (virtual, 64-bit, since the simulation began) or _s (wall clock).
-- docs/runs/journal.md describes every column.

CREATE TABLE meta (key TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;

CREATE TABLE variants (
    variant INTEGER PRIMARY KEY,
    policy TEXT NOT NULL,
    network TEXT NOT NULL,
    scenario TEXT NOT NULL,
    parameters TEXT NOT NULL,
    versions TEXT NOT NULL,
    begin_ns INTEGER NOT NULL,
    bandwidth_hz TEXT,
    policy_sources TEXT,
    bs_compute_w REAL,
    bs_transmit_w REAL,
    bs_amplifier_efficiency REAL,
    others TEXT,
    sites TEXT
);

CREATE TABLE devices (
    variant INTEGER NOT NULL REFERENCES variants,
    device INTEGER NOT NULL,
    name TEXT NOT NULL,
    hardware TEXT NOT NULL,
    experts TEXT NOT NULL,
    compute_w REAL,
    receive_w REAL,
    transmit_w REAL,
    amplifier_efficiency REAL,
    downlink_air_w REAL,
    uplink_air_w REAL,
    PRIMARY KEY (variant, device)
) WITHOUT ROWID;

CREATE TABLE exchanges (
    variant INTEGER NOT NULL REFERENCES variants,
    exchange INTEGER NOT NULL,
    request INTEGER NOT NULL,
    position INTEGER NOT NULL,
    phase TEXT NOT NULL,
    layer INTEGER NOT NULL,
    tokens INTEGER NOT NULL,
    bs_compute_ns INTEGER NOT NULL,
    depart_ns INTEGER NOT NULL,
    deadline_ns INTEGER NOT NULL,
    wait TEXT NOT NULL,
    end_ns INTEGER NOT NULL,
    shares BLOB,
    PRIMARY KEY (variant, exchange)
) WITHOUT ROWID;

CREATE TABLE transfers (
    variant INTEGER NOT NULL,
    exchange INTEGER NOT NULL,
    device INTEGER NOT NULL,
    tokens INTEGER NOT NULL,
    downlink_bytes INTEGER NOT NULL,
    compute_ns INTEGER NOT NULL,
    uplink_bytes INTEGER NOT NULL,
    status TEXT NOT NULL,
    downlink_begin_ns INTEGER,
    downlink_end_ns INTEGER,
    compute_end_ns INTEGER,
    uplink_end_ns INTEGER,
    downlink_air_j REAL,
    uplink_air_j REAL,
    PRIMARY KEY (variant, exchange, device),
    FOREIGN KEY (variant, exchange) REFERENCES exchanges
) WITHOUT ROWID;

CREATE TABLE links (
    variant INTEGER NOT NULL,
    exchange INTEGER NOT NULL,
    device INTEGER NOT NULL,
    connected INTEGER NOT NULL,
    downlink_sinr_db REAL,
    uplink_sinr_db REAL,
    cqi INTEGER,
    downlink_mcs INTEGER,
    uplink_mcs INTEGER,
    downlink_rate_bps REAL,
    uplink_rate_bps REAL,
    rlc_queue_bytes INTEGER,
    bsr_bytes INTEGER,
    cell INTEGER,
    rank INTEGER,
    downlink_prbs INTEGER,
    uplink_prbs INTEGER,
    downlink_bler REAL,
    uplink_bler REAL,
    PRIMARY KEY (variant, exchange, device),
    FOREIGN KEY (variant, exchange) REFERENCES exchanges
) WITHOUT ROWID;

CREATE TABLE channel (
    variant INTEGER NOT NULL,
    exchange INTEGER NOT NULL,
    rows BLOB NOT NULL,
    PRIMARY KEY (variant, exchange),
    FOREIGN KEY (variant, exchange) REFERENCES exchanges
) WITHOUT ROWID;

CREATE TABLE tracks (
    variant INTEGER NOT NULL,
    exchange INTEGER NOT NULL,
    time_ns INTEGER NOT NULL,
    user INTEGER NOT NULL,
    x_m REAL NOT NULL,
    y_m REAL NOT NULL,
    z_m REAL NOT NULL,
    x_mps REAL NOT NULL,
    y_mps REAL NOT NULL,
    z_mps REAL NOT NULL,
    PRIMARY KEY (variant, exchange, time_ns, user),
    FOREIGN KEY (variant, exchange) REFERENCES exchanges
) WITHOUT ROWID;

CREATE TABLE routing (
    variant INTEGER NOT NULL,
    exchange INTEGER NOT NULL,
    tokens INTEGER NOT NULL,
    experts INTEGER NOT NULL,
    top_k INTEGER NOT NULL,
    probabilities BLOB,
    gate_weights BLOB NOT NULL,
    gate_experts BLOB NOT NULL,
    chosen_k INTEGER NOT NULL,
    chosen_weights BLOB NOT NULL,
    chosen_experts BLOB NOT NULL,
    chosen_devices BLOB,
    delivered BLOB NOT NULL,
    predicted_s BLOB,
    PRIMARY KEY (variant, exchange),
    FOREIGN KEY (variant, exchange) REFERENCES exchanges
) WITHOUT ROWID;

CREATE TABLE tokens (
    variant INTEGER NOT NULL REFERENCES variants,
    request INTEGER NOT NULL,
    position INTEGER NOT NULL,
    token INTEGER NOT NULL,
    begin_ns INTEGER NOT NULL,
    end_ns INTEGER NOT NULL,
    PRIMARY KEY (variant, request, position)
) WITHOUT ROWID;

CREATE TABLE requests (
    variant INTEGER NOT NULL REFERENCES variants,
    request INTEGER NOT NULL,
    arrival_ns INTEGER NOT NULL,
    prompt_tokens INTEGER NOT NULL,
    new_tokens INTEGER NOT NULL,
    admitted_ns INTEGER,
    end_ns INTEGER NOT NULL,
    ending TEXT NOT NULL,
    PRIMARY KEY (variant, request)
) WITHOUT ROWID;

CREATE TABLE passes (
    variant INTEGER NOT NULL,
    exchange INTEGER NOT NULL,
    begin_ns INTEGER NOT NULL,
    end_ns INTEGER NOT NULL,
    waiting INTEGER NOT NULL,
    cache_bytes INTEGER NOT NULL,
    PRIMARY KEY (variant, exchange),
    FOREIGN KEY (variant, exchange) REFERENCES exchanges
) WITHOUT ROWID;

CREATE TABLE pass_rows (
    variant INTEGER NOT NULL,
    exchange INTEGER NOT NULL,
    row INTEGER NOT NULL,
    request INTEGER NOT NULL,
    phase TEXT NOT NULL,
    position INTEGER NOT NULL,
    tokens INTEGER NOT NULL,
    PRIMARY KEY (variant, exchange, row),
    FOREIGN KEY (variant, exchange) REFERENCES passes
) WITHOUT ROWID;

CREATE TABLE calls (
    variant INTEGER NOT NULL REFERENCES variants,
    call INTEGER NOT NULL,
    exchange INTEGER NOT NULL,
    until_ns INTEGER NOT NULL,
    end_ns INTEGER NOT NULL,
    PRIMARY KEY (variant, call)
) WITHOUT ROWID;

CREATE TABLE messages (
    variant INTEGER NOT NULL,
    call INTEGER NOT NULL,
    message INTEGER NOT NULL,
    device INTEGER NOT NULL,
    uplink INTEGER NOT NULL,
    size_bytes INTEGER NOT NULL,
    begin_ns INTEGER NOT NULL,
    deadline_ns INTEGER NOT NULL,
    request INTEGER NOT NULL,
    position INTEGER,
    PRIMARY KEY (variant, call, message),
    FOREIGN KEY (variant, call) REFERENCES calls
) WITHOUT ROWID;

CREATE TABLE deliveries (
    variant INTEGER NOT NULL,
    call INTEGER NOT NULL,
    message INTEGER NOT NULL,
    status TEXT NOT NULL,
    end_ns INTEGER NOT NULL,
    PRIMARY KEY (variant, call, message),
    FOREIGN KEY (variant, call) REFERENCES calls
) WITHOUT ROWID;

CREATE TABLE quality (
    variant INTEGER NOT NULL REFERENCES variants,
    request INTEGER NOT NULL,
    metric TEXT NOT NULL,
    value REAL NOT NULL,
    PRIMARY KEY (variant, request, metric)
) WITHOUT ROWID;

CREATE TABLE items (
    variant INTEGER NOT NULL REFERENCES variants,
    item INTEGER NOT NULL,
    task TEXT NOT NULL,
    subject TEXT NOT NULL,
    line INTEGER NOT NULL,
    request INTEGER NOT NULL,
    requests INTEGER NOT NULL,
    answer TEXT NOT NULL,
    given TEXT NOT NULL,
    reference TEXT,
    PRIMARY KEY (variant, item)
) WITHOUT ROWID;

CREATE TABLE scores (
    variant INTEGER NOT NULL,
    item INTEGER NOT NULL,
    metric TEXT NOT NULL,
    value REAL NOT NULL,
    reference REAL,
    PRIMARY KEY (variant, item, metric),
    FOREIGN KEY (variant, item) REFERENCES items
) WITHOUT ROWID;

CREATE TABLE costs (
    variant INTEGER NOT NULL REFERENCES variants,
    part TEXT NOT NULL,
    wall_s REAL NOT NULL,
    PRIMARY KEY (variant, part)
) WITHOUT ROWID;

CREATE TABLE decisions (
    variant INTEGER PRIMARY KEY REFERENCES variants,
    count INTEGER NOT NULL,
    mean_s REAL NOT NULL,
    p50_s REAL NOT NULL,
    p95_s REAL NOT NULL,
    max_s REAL NOT NULL
);

CREATE TABLE events (
    event INTEGER PRIMARY KEY,
    variant INTEGER REFERENCES variants,
    kind TEXT NOT NULL,
    message TEXT NOT NULL
);
