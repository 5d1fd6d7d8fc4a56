-- +goose Up
CREATE TABLE rekey_ledger (
    seq     INTEGER PRIMARY KEY,
    at      INTEGER NOT NULL,
    actor   TEXT   NOT NULL,
    action  TEXT   NOT NULL,
    subject TEXT   NOT NULL,
    run     TEXT   NOT NULL,
    why     TEXT   NOT NULL,
    result  TEXT   NOT NULL,
    detail  TEXT   NOT NULL,
    prev    BLOB   NOT NULL,
    hash    BLOB   NOT NULL
) STRICT;
CREATE INDEX rekey_ledger_run ON rekey_ledger (run, seq) WHERE run <> '';

CREATE TABLE rekey_head (
    id   INTEGER PRIMARY KEY CHECK (id = 1),
    seq  INTEGER NOT NULL,
    hash BLOB   NOT NULL,
    mac  BLOB   NOT NULL
) STRICT;

-- An INSERT OR REPLACE deletes without firing DELETE triggers, hence the first one.
-- +goose StatementBegin
CREATE TRIGGER rekey_ledger_no_replace BEFORE INSERT ON rekey_ledger
    WHEN EXISTS (SELECT 1 FROM rekey_ledger WHERE seq = NEW.seq)
BEGIN
    SELECT RAISE(ABORT, 'the security log only grows: REPLACE refused');
END;
-- +goose StatementEnd
-- +goose StatementBegin
CREATE TRIGGER rekey_ledger_no_update BEFORE UPDATE ON rekey_ledger
BEGIN
    SELECT RAISE(ABORT, 'the security log only grows: UPDATE refused');
END;
-- +goose StatementEnd
-- +goose StatementBegin
CREATE TRIGGER rekey_ledger_no_delete BEFORE DELETE ON rekey_ledger
BEGIN
    SELECT RAISE(ABORT, 'the security log only grows: DELETE refused');
END;
-- +goose StatementEnd
-- +goose StatementBegin
CREATE TRIGGER rekey_head_no_delete BEFORE DELETE ON rekey_head
BEGIN
    SELECT RAISE(ABORT, 'the security log only grows: DELETE of rekey_head refused');
END;
-- +goose StatementEnd

CREATE TABLE rekey_requests (
    id     TEXT PRIMARY KEY,
    at     INTEGER NOT NULL,
    run    TEXT   NOT NULL,
    answer TEXT   NOT NULL
) STRICT;

CREATE TABLE rekey_runs (
    id          TEXT PRIMARY KEY,
    kind        TEXT   NOT NULL,
    secret      TEXT   NOT NULL,
    environment TEXT   NOT NULL,
    mode        TEXT   NOT NULL,
    reason      TEXT   NOT NULL,
    actor       TEXT   NOT NULL,
    reply_to    TEXT   NOT NULL,
    incident    TEXT   NOT NULL,
    paged       INTEGER NOT NULL,
    state       TEXT   NOT NULL,
    problem     TEXT   NOT NULL,
    since       INTEGER NOT NULL,
    wake_at     INTEGER NOT NULL,
    report      BLOB   NOT NULL,
    memo        BLOB   NOT NULL,
    holder      TEXT   NOT NULL,
    fence       INTEGER NOT NULL,
    version     INTEGER NOT NULL,
    created_at  INTEGER NOT NULL,
    started_at  INTEGER NOT NULL,
    ended_at    INTEGER NOT NULL
) STRICT;
CREATE UNIQUE INDEX rekey_runs_one_rotation ON rekey_runs (environment, secret)
    WHERE kind = 'rotate' AND state NOT IN ('succeeded', 'rolled_back', 'failed');
CREATE INDEX rekey_runs_newest ON rekey_runs (created_at, id);
CREATE INDEX rekey_runs_held ON rekey_runs (holder) WHERE holder <> '';

CREATE TABLE rekey_steps (
    run      TEXT   NOT NULL,
    idx      INTEGER NOT NULL,
    key      TEXT   NOT NULL,
    kind     TEXT   NOT NULL,
    stage    TEXT   NOT NULL,
    consumer TEXT   NOT NULL,
    title    TEXT   NOT NULL,
    state    TEXT   NOT NULL,
    token    TEXT   NOT NULL,
    attempt  INTEGER NOT NULL,
    note     TEXT   NOT NULL,
    started  INTEGER NOT NULL,
    ended    INTEGER NOT NULL,
    PRIMARY KEY (run, idx)
) STRICT;

CREATE TABLE rekey_deliveries (
    id         TEXT PRIMARY KEY,
    run        TEXT   NOT NULL,
    kind       TEXT   NOT NULL,
    subject    TEXT   NOT NULL,
    token      TEXT   NOT NULL,
    ref        TEXT   NOT NULL,
    wanted     INTEGER NOT NULL,
    sent       INTEGER NOT NULL,
    attempts   INTEGER NOT NULL,
    last_error TEXT   NOT NULL,
    holder     TEXT   NOT NULL,
    fence      INTEGER NOT NULL,
    created_at INTEGER NOT NULL,
    sent_at    INTEGER NOT NULL
) STRICT;
CREATE INDEX rekey_deliveries_run ON rekey_deliveries (run, created_at);
CREATE INDEX rekey_deliveries_held ON rekey_deliveries (holder) WHERE holder <> '';

CREATE TABLE rekey_fingerprints (
    secret      TEXT   NOT NULL,
    environment TEXT   NOT NULL,
    role        TEXT   NOT NULL,
    form        TEXT   NOT NULL,
    length      INTEGER NOT NULL,
    roll        INTEGER NOT NULL,
    mac         BLOB   NOT NULL,
    at          INTEGER NOT NULL,
    PRIMARY KEY (secret, environment, form, mac)
) STRICT;

CREATE TABLE rekey_replicas (
    id          TEXT PRIMARY KEY,
    host        TEXT   NOT NULL,
    pid         INTEGER NOT NULL,
    seen        INTEGER NOT NULL,
    lease_until INTEGER NOT NULL,
    gone_at     INTEGER NOT NULL
) STRICT;
