-- What a token was made with, and who made it: a token ends and is revoked with its parent, and nobody approves a rollout
-- by a hand of their own. Null for what was made before, or at the console. A token that was made with the admin's
-- password has a maker and no parent.
ALTER TABLE tokens
    ADD COLUMN parent_id uuid REFERENCES tokens (id),
    ADD COLUMN made_by uuid REFERENCES principals (id);

ALTER TABLE principals ADD COLUMN made_by uuid REFERENCES principals (id);
