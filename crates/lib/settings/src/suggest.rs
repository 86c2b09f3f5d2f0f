//! "Did you mean …?"

use crate::registry::VARIABLES;

/// Beyond this many edits a name is another name, not a typing mistake.
const MOST_EDITS: usize = 3;

/// The setting whose name is nearest, if any is near.
pub(crate) fn nearest(name: &str) -> Option<String> {
    let names = VARIABLES.iter().flat_map(|variable| {
        let file = variable.secret.then(|| format!("{}_FILE", variable.name));
        std::iter::once(variable.name.to_owned()).chain(file)
    });
    let (edits, near) = names.map(|known| (distance(name, &known), known)).min()?;
    (edits <= MOST_EDITS).then_some(near)
}

/// Levenshtein's distance: insertions, deletions and substitutions.
fn distance(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, left) in a.chars().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, right) in b.iter().enumerate() {
            let substituted = diagonal + usize::from(left != *right);
            diagonal = row[j + 1];
            row[j + 1] = substituted.min(diagonal + 1).min(row[j] + 1);
        }
    }
    row[b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn near_names_are_found_and_far_ones_are_not() {
        assert_eq!(nearest("API_PROT").as_deref(), Some("API_PORT"));
        assert_eq!(
            nearest("DATABASE_POOLSIZE").as_deref(),
            Some("DATABASE_POOL_SIZE")
        );
        assert_eq!(
            nearest("REDIS_PASSWORD_FIEL").as_deref(),
            Some("REDIS_PASSWORD_FILE")
        );
        assert_eq!(nearest("API_SOMETHING_ELSE"), None);
    }

    #[test]
    fn distance_counts_edits() {
        assert_eq!(distance("", "abc"), 3);
        assert_eq!(distance("kitten", "sitting"), 3);
        assert_eq!(distance("same", "same"), 0);
    }
}
