-- Which boot of a host's machine is heard of, how far it has counted, and which boots it replaced. `heard_at` is when the
-- agent last said what it sees; `last_seen_at` is also renewed by a connection that waits. `counted_boot_id` is the boot
-- that the counter belongs to: a program that does not count moves `boot_id` alone.
ALTER TABLE hosts
    ADD COLUMN heard_at timestamptz,
    ADD COLUMN counted_boot_id text,
    ADD COLUMN boot_counter bigint,
    ADD COLUMN booted_at timestamptz,
    ADD COLUMN boot_replaced_at timestamptz,
    ADD COLUMN second_life_at timestamptz,
    ADD COLUMN second_life_noted boolean NOT NULL DEFAULT true;

-- Boots that another one has replaced: one that goes on counting belongs to a second machine. A row a reboot.
CREATE TABLE host_boots (
    host_id uuid NOT NULL REFERENCES hosts (id) ON DELETE CASCADE,
    boot_id text NOT NULL,
    counter bigint,
    booted_at timestamptz,
    heard_at timestamptz,
    PRIMARY KEY (host_id, boot_id)
);
