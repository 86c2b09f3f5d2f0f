//! Reading what was printed, page by page.

use slipway_domain::{AttemptId, HostId, HostName, RolloutId};
use slipway_wire::output::Output;
use tracing::instrument;
use uuid::Uuid;

use crate::{Store, StoreError, bounded, page_limit};

/// The text after which a page ends, in bytes.
const PAGE_BYTES: u32 = 256 * 1024;

/// Which output is asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OutputSearch {
    /// Of this rollout.
    pub rollout: RolloutId,
    /// Only of this host.
    pub host: Option<HostId>,
    /// Only lines that contain this text; upper and lower case are the same.
    pub text: Option<String>,
    /// Only pieces with a greater number.
    pub after: i64,
    /// Whether the newest comes first.
    pub newest_first: bool,
}

struct Row {
    number: i64,
    at: slipway_domain::Timestamp,
    host: HostName,
    attempt: Uuid,
    job: String,
    text: String,
    skipped: i64,
    cut: bool,
}

impl Row {
    /// The piece, with only the lines that have this text, in lower case; nothing if none has it.
    fn read(self, wanted: Option<&str>) -> Option<Output> {
        let mut output = Output {
            number: self.number,
            at: self.at,
            host: self.host,
            attempt: AttemptId::from_uuid(self.attempt),
            job: self.job,
            text: self.text,
            skipped: self.skipped.unsigned_abs(),
            cut: self.cut,
        };
        let Some(wanted) = wanted else {
            return Some(output);
        };
        let lines = output.text.split_inclusive('\n');
        output.text = lines
            .filter(|line| line.to_lowercase().contains(wanted))
            .collect();
        (!output.text.is_empty()).then_some(output)
    }
}

impl Store {
    /// What hosts of a rollout printed, the oldest first unless the search says otherwise. With the number after which to
    /// go on, if there may be more.
    #[instrument(name = "db.output.search", level = "debug", skip_all, fields(rollout_id = %search.rollout))]
    pub async fn search_output(
        &self,
        search: &OutputSearch,
        limit: u32,
    ) -> Result<(Vec<Output>, Option<i64>), StoreError> {
        let pattern = search.text.as_deref().map(contains);
        // Two statements, as the database reads each order by an index.
        macro_rules! found {
            ($order:tt) => {
                sqlx::query_as!(
                    Row,
                    r#"SELECT number AS "number!", at AS "at!", name AS "host!: _", attempt AS "attempt!", job AS "job!",
                              text AS "text!", skipped AS "skipped!", is_cut AS "cut!"
                       FROM (SELECT p.*, h.name, sum(octet_length(p.text)) OVER (ORDER BY p.number"# + $order + r#")
                                    - octet_length(p.text) AS before
                             FROM (SELECT * FROM output_pieces
                                   WHERE rollout_id = $1 AND number > $2 AND ($3::uuid IS NULL OR host_id = $3)
                                     AND ($4::text IS NULL OR text ILIKE $4)
                                   ORDER BY number"# + $order + r#" LIMIT $5) p
                             JOIN hosts h ON h.id = p.host_id) q
                       WHERE before < $6 ORDER BY number"# + $order,
                    search.rollout.as_uuid(),
                    search.after,
                    search.host.map(HostId::as_uuid),
                    pattern,
                    page_limit(limit),
                    i64::from(PAGE_BYTES)
                )
                .fetch_all(&self.pool)
                .await?
            };
        }
        bounded(async {
            let rows = if search.newest_first {
                found!(" DESC")
            } else {
                found!("")
            };
            let read: usize = rows.iter().map(|row| row.text.len()).sum();
            let is_full = rows.len() == limit as usize || read >= PAGE_BYTES as usize;
            let next = rows.last().map(|row| row.number).filter(|_| is_full);
            let wanted = search.text.as_deref().map(str::to_lowercase);
            let found = rows.into_iter().filter_map(|row| row.read(wanted.as_deref()));
            Ok((found.collect(), next))
        })
        .await
    }

    /// The number of the newest piece of each of these rollouts; 0 for one without any.
    #[instrument(name = "db.output.newest", level = "debug", skip_all, fields(rollouts = rollouts.len()))]
    pub async fn newest_output(&self, rollouts: &[RolloutId]) -> Result<Vec<(RolloutId, i64)>, StoreError> {
        let ids: Vec<Uuid> = rollouts.iter().copied().map(RolloutId::as_uuid).collect();
        bounded(async {
            let rows = sqlx::query!(
                r#"SELECT asked.id AS "id!", coalesce((
                       SELECT max(number) FROM output_pieces WHERE rollout_id = asked.id), 0) AS "newest!"
                   FROM unnest($1::uuid[]) AS asked (id)"#,
                &ids
            )
            .fetch_all(&self.pool)
            .await?;
            let newest = rows.into_iter();
            Ok(newest
                .map(|row| (RolloutId::from_uuid(row.id), row.newest))
                .collect())
        })
        .await
    }
}

/// The pattern of a text that has these words in it.
fn contains(words: &str) -> String {
    let mut pattern = String::from("%");
    for c in words.chars() {
        if matches!(c, '%' | '_' | '\\') {
            pattern.push('\\');
        }
        pattern.push(c);
    }
    pattern.push('%');
    pattern
}
