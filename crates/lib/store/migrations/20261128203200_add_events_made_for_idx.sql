-- For looking up who made tokens for somebody else: then both may be in one hand. The fourth word is the token's owner.
CREATE INDEX events_made_for_idx ON events (split_part(cause, ' ', 4))
    WHERE kind = 'token.created' AND host_id IS NULL AND actor_name <> split_part(cause, ' ', 4);
