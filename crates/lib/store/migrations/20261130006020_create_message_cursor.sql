-- The last event that became messages. Whoever queues messages holds this row's lock. Nobody is told of what was before.
CREATE TABLE message_cursor (
    "only" boolean PRIMARY KEY DEFAULT true,
    number bigint NOT NULL,
    CONSTRAINT message_cursor_only_check CHECK ("only")
);

INSERT INTO message_cursor (number) SELECT number FROM event_head;
