-- +goose Up
-- asked: what somebody asked of a run under way; batch and turn: the command over
-- several secrets that a run belongs to, and its place in that command's order.
ALTER TABLE rekey_runs ADD COLUMN asked TEXT NOT NULL DEFAULT '';
ALTER TABLE rekey_runs ADD COLUMN batch TEXT NOT NULL DEFAULT '';
ALTER TABLE rekey_runs ADD COLUMN turn INTEGER NOT NULL DEFAULT 0;
CREATE INDEX rekey_runs_batch ON rekey_runs (batch, turn) WHERE batch <> '';
