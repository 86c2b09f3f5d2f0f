-- What is wrong with the journal of the host's agent, in its own words; null when nothing is.
ALTER TABLE hosts ADD COLUMN journal_trouble text;
