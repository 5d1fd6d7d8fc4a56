-- +goose Up
CREATE TABLE rekey_ledger (
    seq     BIGINT PRIMARY KEY,
    at      BIGINT NOT NULL,
    actor   TEXT   NOT NULL,
    action  TEXT   NOT NULL,
    subject TEXT   NOT NULL,
    run     TEXT   NOT NULL,
    why     TEXT   NOT NULL,
    result  TEXT   NOT NULL,
    detail  TEXT   NOT NULL,
    prev    BYTEA  NOT NULL,
    hash    BYTEA  NOT NULL
);
CREATE INDEX rekey_ledger_run ON rekey_ledger (run, seq) WHERE run <> '';

CREATE TABLE rekey_head (
    id   BIGINT PRIMARY KEY CHECK (id = 1),
    seq  BIGINT NOT NULL,
    hash BYTEA  NOT NULL,
    mac  BYTEA  NOT NULL
);

-- +goose StatementBegin
CREATE FUNCTION rekey_refuse() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'the security log only grows: % of % refused', TG_OP, TG_TABLE_NAME;
END
$$;
-- +goose StatementEnd

CREATE TRIGGER rekey_ledger_only_grows BEFORE UPDATE OR DELETE OR TRUNCATE ON rekey_ledger
    FOR EACH STATEMENT EXECUTE FUNCTION rekey_refuse();
CREATE TRIGGER rekey_head_stays BEFORE DELETE OR TRUNCATE ON rekey_head
    FOR EACH STATEMENT EXECUTE FUNCTION rekey_refuse();
-- Also where session_replication_role = 'replica' switches ordinary triggers off.
ALTER TABLE rekey_ledger ENABLE ALWAYS TRIGGER rekey_ledger_only_grows;
ALTER TABLE rekey_head ENABLE ALWAYS TRIGGER rekey_head_stays;

CREATE TABLE rekey_requests (
    id     TEXT PRIMARY KEY,
    at     BIGINT NOT NULL,
    run    TEXT   NOT NULL,
    answer TEXT   NOT NULL
);

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
    paged       BIGINT NOT NULL,
    state       TEXT   NOT NULL,
    problem     TEXT   NOT NULL,
    since       BIGINT NOT NULL,
    wake_at     BIGINT NOT NULL,
    report      BYTEA  NOT NULL,
    memo        BYTEA  NOT NULL,
    holder      TEXT   NOT NULL,
    fence       BIGINT NOT NULL,
    version     BIGINT NOT NULL,
    created_at  BIGINT NOT NULL,
    started_at  BIGINT NOT NULL,
    ended_at    BIGINT NOT NULL
);
CREATE UNIQUE INDEX rekey_runs_one_rotation ON rekey_runs (environment, secret)
    WHERE kind = 'rotate' AND state NOT IN ('succeeded', 'rolled_back', 'failed');
CREATE INDEX rekey_runs_newest ON rekey_runs (created_at, id);
CREATE INDEX rekey_runs_held ON rekey_runs (holder) WHERE holder <> '';

CREATE TABLE rekey_steps (
    run      TEXT   NOT NULL,
    idx      BIGINT NOT NULL,
    key      TEXT   NOT NULL,
    kind     TEXT   NOT NULL,
    stage    TEXT   NOT NULL,
    consumer TEXT   NOT NULL,
    title    TEXT   NOT NULL,
    state    TEXT   NOT NULL,
    token    TEXT   NOT NULL,
    attempt  BIGINT NOT NULL,
    note     TEXT   NOT NULL,
    started  BIGINT NOT NULL,
    ended    BIGINT NOT NULL,
    PRIMARY KEY (run, idx)
);

CREATE TABLE rekey_deliveries (
    id         TEXT PRIMARY KEY,
    run        TEXT   NOT NULL,
    kind       TEXT   NOT NULL,
    subject    TEXT   NOT NULL,
    token      TEXT   NOT NULL,
    ref        TEXT   NOT NULL,
    wanted     BIGINT NOT NULL,
    sent       BIGINT NOT NULL,
    attempts   BIGINT NOT NULL,
    last_error TEXT   NOT NULL,
    holder     TEXT   NOT NULL,
    fence      BIGINT NOT NULL,
    created_at BIGINT NOT NULL,
    sent_at    BIGINT NOT NULL
);
CREATE INDEX rekey_deliveries_run ON rekey_deliveries (run, created_at);
CREATE INDEX rekey_deliveries_held ON rekey_deliveries (holder) WHERE holder <> '';

CREATE TABLE rekey_fingerprints (
    secret      TEXT   NOT NULL,
    environment TEXT   NOT NULL,
    role        TEXT   NOT NULL,
    form        TEXT   NOT NULL,
    length      BIGINT NOT NULL,
    roll        BIGINT NOT NULL,
    mac         BYTEA  NOT NULL,
    at          BIGINT NOT NULL,
    PRIMARY KEY (secret, environment, form, mac)
);

CREATE TABLE rekey_replicas (
    id          TEXT PRIMARY KEY,
    host        TEXT   NOT NULL,
    pid         BIGINT NOT NULL,
    seen        BIGINT NOT NULL,
    lease_until BIGINT NOT NULL,
    gone_at     BIGINT NOT NULL
);
