//! Builds pprofs field by field, to be as wrong as wanted.

/// A message in the making.
#[derive(Default, Clone)]
pub(super) struct Message(pub(super) Vec<u8>);

pub(super) fn message() -> Message {
    Message::default()
}

fn varint(out: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        out.push(u8::try_from(value & 0x7f).unwrap() | 0x80);
        value >>= 7;
    }
    out.push(u8::try_from(value).unwrap());
}

impl Message {
    pub(super) fn number(mut self, field: u64, value: u64) -> Self {
        varint(&mut self.0, field << 3);
        varint(&mut self.0, value);
        self
    }

    pub(super) fn bytes(mut self, field: u64, bytes: impl AsRef<[u8]>) -> Self {
        varint(&mut self.0, field << 3 | 2);
        varint(&mut self.0, bytes.as_ref().len() as u64);
        self.0.extend_from_slice(bytes.as_ref());
        self
    }

    pub(super) fn with(self, field: u64, message: &Self) -> Self {
        self.bytes(field, &message.0)
    }

    pub(super) fn packed(self, field: u64, numbers: impl IntoIterator<Item = u64>) -> Self {
        let mut packed = Vec::new();
        for number in numbers {
            varint(&mut packed, number);
        }
        self.bytes(field, packed)
    }

    pub(super) fn strings(self, strings: &[&str]) -> Self {
        strings.iter().fold(self, |message, text| message.bytes(6, text))
    }

    /// One sample type, of strings 1 and 2.
    pub(super) fn sample_type(self) -> Self {
        self.with(1, &message().number(1, 1).number(2, 2))
    }

    pub(super) fn sample(self, locations: impl IntoIterator<Item = u64>, value: i64) -> Self {
        self.with(2, &message().packed(1, locations).packed(2, [value.cast_unsigned()]))
    }

    /// A location with these functions, the innermost first.
    pub(super) fn location(self, id: u64, functions: &[u64]) -> Self {
        let lines = |m: Self, f: &u64| m.with(4, &message().number(1, *f).number(2, 7));
        self.with(4, &functions.iter().fold(message().number(1, id), lines))
    }

    pub(super) fn function(self, id: u64, name: u64, file: u64) -> Self {
        self.with(5, &message().number(1, id).number(2, name).number(4, file))
    }
}

/// `work` called by `main`, 7 ns.
pub(super) fn small() -> Message {
    message()
        .sample_type()
        .sample([1, 2], 7)
        .location(1, &[1])
        .location(2, &[2])
        .function(1, 3, 5)
        .function(2, 4, 5)
        .strings(&["", "cpu", "nanoseconds", "work", "main", "main.rs"])
}
