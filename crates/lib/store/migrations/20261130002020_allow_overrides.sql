ALTER TABLE rollout_commands
    DROP CONSTRAINT rollout_commands_kind_check,
    ADD CONSTRAINT rollout_commands_kind_check
        CHECK (kind IN ('approve', 'pause', 'resume', 'revert', 'abort', 'override_freeze'));
