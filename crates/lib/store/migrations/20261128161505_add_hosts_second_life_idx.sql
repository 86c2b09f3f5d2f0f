-- Second lives for which there is no event yet.
CREATE INDEX hosts_second_life_idx ON hosts (id) WHERE NOT second_life_noted;
