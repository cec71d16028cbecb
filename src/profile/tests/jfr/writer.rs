//! Writes small recordings, laid out as async-profiler lays out its own.

use std::collections::BTreeMap;

/// A class as it is described: id, name, and fields with the ids of their classes.
#[derive(Debug, Clone)]
pub(crate) struct Described {
    pub(crate) id: u64,
    pub(crate) name: &'static str,
    pub(crate) fields: Vec<(&'static str, u64, Is)>,
}

/// How a field stands in the bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Is {
    Plain,
    Constant,
    Array,
}

const BOOLEAN: u64 = 4;
const FLOAT: u64 = 6;
pub(crate) const INT: u64 = 10;
pub(crate) const LONG: u64 = 11;
pub(crate) const STRING: u64 = 20;
const CLASS: u64 = 21;
const THREAD_STATE: u64 = 25;
const STACK_TRACE: u64 = 26;
pub(crate) const STACK_FRAME: u64 = 27;
const METHOD: u64 = 28;
const SYMBOL: u64 = 30;
const SETTING: u64 = 60;

/// The events, by name; the ids follow from the places.
const EVENTS: [&str; 10] = [
    "jdk.ExecutionSample",
    "profiler.WallClockSample",
    "jdk.ObjectAllocationInNewTLAB",
    "jdk.ObjectAllocationOutsideTLAB",
    "jdk.ObjectAllocationSample",
    "profiler.LiveObject",
    "profiler.Malloc",
    "jdk.JavaMonitorEnter",
    "jdk.ThreadPark",
    "jdk.NativeMethodSample",
];

fn event_id(name: &str) -> u64 {
    40 + EVENTS.iter().position(|event| *event == name).unwrap() as u64
}

/// The states of threads, by their keys.
pub(crate) const DEFAULT: u64 = 1;
pub(crate) const RUNNABLE: u64 = 2;
pub(crate) const SLEEPING: u64 = 3;

/// One chunk of a recording. Everything may be changed before it is written.
#[derive(Debug, Clone)]
pub(crate) struct Chunk {
    pub(crate) types: Vec<Described>,
    pub(crate) ticks_per_second: u64,
    pub(crate) start_nanos: u64,
    pub(crate) duration_nanos: u64,
    /// Texts of symbols, by key.
    pub(crate) symbols: BTreeMap<u64, Vec<u8>>,
    /// Of each method, its class and its name, as keys of symbols. A class has the key of its name.
    pub(crate) methods: BTreeMap<u64, (u64, u64)>,
    pub(crate) classes: BTreeMap<u64, u64>,
    /// Of each stack, whether it was cut, and methods and lines, the leaf first.
    pub(crate) stacks: BTreeMap<u64, (bool, Vec<(u64, u64)>)>,
    pub(crate) events: Vec<Vec<u8>>,
    /// Constants of other classes: the id of the class, how many, and their bytes.
    pub(crate) other_pools: Vec<(u64, u64, Vec<u8>)>,
}

impl Default for Chunk {
    fn default() -> Self {
        use Is::{Array, Constant, Plain};
        let class = |id, name, fields: &[_]| Described { id, name, fields: fields.to_vec() };
        let mut types = vec![
            class(BOOLEAN, "boolean", &[]),
            class(FLOAT, "float", &[]),
            class(INT, "int", &[]),
            class(LONG, "long", &[]),
            class(STRING, "java.lang.String", &[]),
            class(CLASS, "java.lang.Class", &[("name", SYMBOL, Constant), ("modifiers", INT, Plain)]),
            class(THREAD_STATE, "jdk.types.ThreadState", &[("name", STRING, Plain)]),
            class(
                STACK_TRACE,
                "jdk.types.StackTrace",
                &[("truncated", BOOLEAN, Plain), ("frames", STACK_FRAME, Array)],
            ),
            class(
                STACK_FRAME,
                "jdk.types.StackFrame",
                &[("method", METHOD, Constant), ("lineNumber", INT, Plain), ("bytecodeIndex", INT, Plain)],
            ),
            class(
                METHOD,
                "jdk.types.Method",
                &[("type", CLASS, Constant), ("name", SYMBOL, Constant), ("hidden", BOOLEAN, Plain)],
            ),
            class(SYMBOL, "jdk.types.Symbol", &[("string", STRING, Plain)]),
            class(
                SETTING,
                "jdk.ActiveSetting",
                &[("startTime", LONG, Plain), ("id", LONG, Plain), ("name", STRING, Plain), ("value", STRING, Plain)],
            ),
        ];
        for name in EVENTS {
            let mut fields =
                vec![("startTime", LONG, Plain), ("load", FLOAT, Plain), ("stackTrace", STACK_TRACE, Constant)];
            fields.extend(match name {
                "jdk.ExecutionSample" | "jdk.NativeMethodSample" => {
                    vec![("state", THREAD_STATE, Constant), ("contextId", LONG, Plain)]
                }
                "profiler.WallClockSample" => vec![("state", THREAD_STATE, Constant), ("samples", INT, Plain)],
                "jdk.ObjectAllocationInNewTLAB" => vec![("allocationSize", LONG, Plain), ("tlabSize", LONG, Plain)],
                "jdk.ObjectAllocationOutsideTLAB" => vec![("allocationSize", LONG, Plain)],
                "jdk.ObjectAllocationSample" => vec![("weight", LONG, Plain)],
                "profiler.Malloc" => vec![("address", LONG, Plain), ("size", LONG, Plain)],
                "jdk.JavaMonitorEnter" | "jdk.ThreadPark" => {
                    vec![("duration", LONG, Plain), ("contextId", LONG, Plain)]
                }
                _ => vec![],
            });
            types.push(Described { id: event_id(name), name, fields });
        }
        Self {
            types,
            ticks_per_second: 1_000_000_000,
            start_nanos: 1_795_176_000_000_000_000,
            duration_nanos: 10_000_000_000,
            symbols: BTreeMap::new(),
            methods: BTreeMap::new(),
            classes: BTreeMap::new(),
            stacks: BTreeMap::new(),
            events: Vec::new(),
            other_pools: Vec::new(),
        }
    }
}

impl Chunk {
    fn symbol(&mut self, text: &str) -> u64 {
        let mut bytes = vec![3];
        number(&mut bytes, text.len() as u64);
        bytes.extend_from_slice(text.as_bytes());
        if let Some((key, _)) = self.symbols.iter().find(|(_, known)| **known == bytes) {
            return *key;
        }
        let key = self.symbols.len() as u64 + 100;
        self.symbols.insert(key, bytes);
        key
    }

    /// A stack of `Class.method:line`, the leaf first; its key.
    pub(crate) fn stack(&mut self, frames: &[&str]) -> u64 {
        let mut methods = Vec::new();
        for frame in frames {
            let (name, line) = frame.rsplit_once(':').unwrap_or((frame, "0"));
            let (class, name) = name.rsplit_once('.').unwrap();
            let method = (self.symbol(class), self.symbol(name));
            self.classes.insert(method.0, method.0);
            let known = self.methods.iter().find(|(_, known)| **known == method).map(|(key, _)| *key);
            let key = known.unwrap_or(self.methods.len() as u64 + 500);
            self.methods.insert(key, method);
            methods.push((key, line.parse().unwrap()));
        }
        let key = self.stacks.len() as u64 + 1;
        self.stacks.insert(key, (false, methods));
        key
    }

    /// An event whose fields behind the stack are numbers.
    pub(crate) fn event(&mut self, name: &str, stack: u64, numbers: &[u64]) -> &mut Self {
        let mut body = Vec::new();
        number(&mut body, event_id(name));
        number(&mut body, 77);
        body.extend_from_slice(&1.5_f32.to_be_bytes());
        number(&mut body, stack);
        numbers.iter().for_each(|n| number(&mut body, *n));
        self.events.push(sized(&body));
        self
    }

    /// A setting of an event.
    pub(crate) fn setting(&mut self, event: &str, name: &str, value: &str) -> &mut Self {
        let mut body = Vec::new();
        number(&mut body, SETTING);
        number(&mut body, 1);
        number(&mut body, event_id(event));
        text(&mut body, name);
        text(&mut body, value);
        self.events.push(sized(&body));
        self
    }

    /// The chunk. Metadata come first and constants last.
    pub(crate) fn bytes(&self) -> Vec<u8> {
        let metadata = metadata(&self.types);
        let mut body = metadata.clone();
        self.events.iter().for_each(|event| body.extend_from_slice(event));
        let checkpoint = 68 + body.len() as u64;
        body.extend_from_slice(&self.checkpoint());
        let mut chunk = b"FLR\0\0\x02\0\0".to_vec();
        let numbers =
            [68 + body.len() as u64, checkpoint, 68, self.start_nanos, self.duration_nanos, 5, self.ticks_per_second];
        numbers.iter().for_each(|n| chunk.extend_from_slice(&n.to_be_bytes()));
        chunk.extend_from_slice(&1_u32.to_be_bytes());
        chunk.extend_from_slice(&body);
        chunk
    }

    fn checkpoint(&self) -> Vec<u8> {
        let mut body = Vec::new();
        [1, 9, 0, 0].iter().for_each(|n| number(&mut body, *n));
        body.push(1);
        number(&mut body, 5 + self.other_pools.len() as u64);
        for (id, count, constants) in &self.other_pools {
            number(&mut body, *id);
            number(&mut body, *count);
            body.extend_from_slice(constants);
        }
        let mut pool = |id, constants: Vec<(u64, Vec<u8>)>| {
            number(&mut body, id);
            number(&mut body, constants.len() as u64);
            for (key, constant) in constants {
                number(&mut body, key);
                body.extend_from_slice(&constant);
            }
        };
        let states = ["STATE_DEFAULT", "STATE_RUNNABLE", "STATE_SLEEPING"];
        pool(THREAD_STATE, (1..).zip(states).map(|(key, name)| (key, with(|out| text(out, name)))).collect());
        let stack = |(truncated, frames): &(bool, Vec<(u64, u64)>)| {
            with(|out| {
                out.push(u8::from(*truncated));
                number(out, frames.len() as u64);
                for (method, line) in frames {
                    [*method, *line, 3].iter().for_each(|n| number(out, *n));
                }
            })
        };
        pool(STACK_TRACE, self.stacks.iter().map(|(key, of)| (*key, stack(of))).collect());
        let method = |(class, name): &(u64, u64)| {
            with(|out| {
                number(out, *class);
                number(out, *name);
                out.push(0);
            })
        };
        pool(METHOD, self.methods.iter().map(|(key, of)| (*key, method(of))).collect());
        let class = |name: u64| {
            with(|out| {
                number(out, name);
                number(out, 1);
            })
        };
        pool(CLASS, self.classes.iter().map(|(key, name)| (*key, class(*name))).collect());
        pool(SYMBOL, self.symbols.iter().map(|(key, bytes)| (*key, bytes.clone())).collect());
        sized(&body)
    }
}

fn with(write: impl FnOnce(&mut Vec<u8>)) -> Vec<u8> {
    let mut out = Vec::new();
    write(&mut out);
    out
}

/// A number of seven bits a byte, up to nine bytes.
pub(crate) fn number(out: &mut Vec<u8>, mut value: u64) {
    for _ in 0..8 {
        if value < 0x80 {
            return out.push(value as u8);
        }
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

/// A text as UTF-8.
pub(crate) fn text(out: &mut Vec<u8>, text: &str) {
    out.push(3);
    number(out, text.len() as u64);
    out.extend_from_slice(text.as_bytes());
}

/// An event, with its size as four bytes in front.
pub(crate) fn sized(body: &[u8]) -> Vec<u8> {
    let size = body.len() as u64 + 4;
    let mut out: Vec<u8> =
        (0..4).map(|place| (size >> (7 * place)) as u8 & 0x7f | if place < 3 { 0x80 } else { 0 }).collect();
    out.extend_from_slice(body);
    out
}

/// The event that describes classes.
pub(crate) fn metadata(types: &[Described]) -> Vec<u8> {
    let mut strings: Vec<String> = Vec::new();
    let mut tree = Vec::new();
    let mut id = |text: &str| {
        let known = strings.iter().position(|known| known == text);
        known.unwrap_or_else(|| {
            strings.push(text.to_owned());
            strings.len() - 1
        }) as u64
    };
    let mut element = |name: &str, attributes: &[(&str, &str)], children: usize| {
        number(&mut tree, id(name));
        number(&mut tree, attributes.len() as u64);
        for (name, value) in attributes {
            number(&mut tree, id(name));
            number(&mut tree, id(value));
        }
        number(&mut tree, children as u64);
    };
    element("root", &[], 2);
    element("metadata", &[], types.len());
    for described in types {
        element("class", &[("name", described.name), ("id", &described.id.to_string())], described.fields.len() + 1);
        element("annotation", &[("class", "99")], 0);
        for (name, class, is) in &described.fields {
            let class = class.to_string();
            let mut attributes = vec![("name", *name), ("class", class.as_str())];
            match is {
                Is::Plain => {}
                Is::Constant => attributes.push(("constantPool", "true")),
                Is::Array => attributes.push(("dimension", "1")),
            }
            element("field", &attributes, 1);
            element("annotation", &[("class", "99")], 0);
        }
    }
    element("region", &[("locale", "en_US")], 0);
    let mut body = Vec::new();
    [0, 9, 0, 1, strings.len() as u64].iter().for_each(|n| number(&mut body, *n));
    strings.iter().for_each(|string| text(&mut body, string));
    body.extend_from_slice(&tree);
    sized(&body)
}

/// The labels beside a recording: contexts of labels.
pub(crate) fn labels(contexts: &[(u64, &[(&str, &str)])]) -> Vec<u8> {
    let mut texts: Vec<String> = Vec::new();
    let mut out = Vec::new();
    let entry = |tag: u8, value: &[u8]| {
        let mut entry = vec![tag];
        proto(&mut entry, value.len() as u64);
        entry.extend_from_slice(value);
        entry
    };
    for (context, pairs) in contexts {
        let mut set = Vec::new();
        for (name, value) in *pairs {
            texts.extend([(*name).to_owned(), (*value).to_owned()]);
            let (name, value) = (texts.len() as u64 - 1, texts.len() as u64);
            set.extend(entry(0x0a, &with(|out| [8, name, 16, value].iter().for_each(|n| proto(out, *n)))));
        }
        let context = with(|out| {
            [8, *context].iter().for_each(|n| proto(out, *n));
            out.extend(entry(0x12, &set));
        });
        out.extend(entry(0x0a, &context));
    }
    for (key, text) in (1..).zip(&texts) {
        let text = with(|out| {
            [8, key].iter().for_each(|n| proto(out, *n));
            out.extend(entry(0x12, text.as_bytes()));
        });
        out.extend(entry(0x12, &text));
    }
    out
}

/// A number as protocol buffers write it.
fn proto(out: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}
