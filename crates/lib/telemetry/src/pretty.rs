//! Lines for people at a terminal, with nothing hidden in them.

use std::io::{self, Write};

use slipway_text::escape_json;
use tracing::Metadata;
use tracing_subscriber::fmt::MakeWriter;

/// Writes lines as JSON would write them: the formatter escapes ASCII controls only.
///
/// Colours begin with an ASCII control, so they stay.
#[derive(Clone)]
pub(crate) struct EscapingWriter<W>(pub(crate) W);

impl<'a, W: MakeWriter<'a>> MakeWriter<'a> for EscapingWriter<W> {
    type Writer = EscapingWriter<W::Writer>;

    fn make_writer(&'a self) -> Self::Writer {
        EscapingWriter(self.0.make_writer())
    }

    fn make_writer_for(&'a self, metadata: &Metadata<'_>) -> Self::Writer {
        EscapingWriter(self.0.make_writer_for(metadata))
    }
}

impl<W: Write> Write for EscapingWriter<W> {
    /// Takes all or nothing: the formatter hands whole lines over.
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0
            .write_all(escape_json(&String::from_utf8_lossy(bytes)).as_bytes())?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.0.flush()
    }
}
