//! What is kept of a program's output.

use std::io;

use tokio::io::{AsyncRead, AsyncReadExt};

/// A buffer that keeps the end of what is put in.
#[derive(Debug)]
pub struct OutputTail {
    bytes: Vec<u8>,
    most_bytes: usize,
}

impl OutputTail {
    /// An empty one that keeps this many bytes.
    #[must_use]
    pub const fn new(most_bytes: usize) -> Self {
        Self {
            bytes: Vec::new(),
            most_bytes,
        }
    }

    /// Puts more in.
    pub fn push(&mut self, more: &[u8]) {
        self.bytes.extend_from_slice(more);
        if self.bytes.len() > 2 * self.most_bytes {
            let cut = self.bytes.len() - self.most_bytes;
            self.bytes.drain(..cut);
        }
    }

    /// The end of what was put in.
    #[must_use]
    pub fn text(&self) -> String {
        let from = self.bytes.len().saturating_sub(self.most_bytes);
        String::from_utf8_lossy(&self.bytes[from..]).into_owned()
    }
}

/// Hands all that comes to `keep`, until the end or until `keep` refuses.
pub async fn read(
    mut reader: impl AsyncRead + Unpin,
    mut keep: impl FnMut(&[u8]) -> io::Result<()>,
) -> io::Result<()> {
    let mut buffer = vec![0; 16 * 1024];
    while let Ok(count) = reader.read(&mut buffer).await {
        if count == 0 {
            break;
        }
        keep(&buffer[..count])?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tail_keeps_the_end() {
        let mut tail = OutputTail::new(4);
        for _ in 0..10 {
            tail.push(b"abc");
        }
        assert_eq!(tail.text(), "cabc");
    }
}
