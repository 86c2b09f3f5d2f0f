-- What of its live system runs only after a reboot, by the words of its agent; null when the agent does not say.
ALTER TABLE hosts ADD COLUMN pending_reboot text[];
