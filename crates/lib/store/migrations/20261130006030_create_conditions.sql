-- What lasts and is no event, such as a silent agent: since when it was told of, and how often. It goes when it ends.
CREATE TABLE conditions (
    kind text NOT NULL,
    subject text COLLATE "C" NOT NULL,
    environment text COLLATE "C" NOT NULL,
    since timestamptz NOT NULL,
    told_at timestamptz NOT NULL DEFAULT now(),
    times integer NOT NULL DEFAULT 1,
    PRIMARY KEY (kind, subject)
);
