//! The tables of a pprof: strings, functions, locations.

use std::borrow::Cow;
use std::sync::Arc;

use super::ids::Ids;
use super::wire::{Wire, bytes, number};
use super::{FUNCTION, LOCATION, MAPPING, Outline, Piece};
use crate::profile::builder::Interner;
use crate::profile::limits::{LimitName, ReadError, ReadLimits};
use crate::profile::model::{Function, FunctionId, SampleType, Symbols, TextId};

/// Of a mapping, a location and a function alike.
const ID: u64 = number(1);
const MAPPING_FILE: u64 = number(5);
const LOCATION_MAPPING: u64 = number(2);
const LOCATION_LINE: u64 = bytes(4);
const LINE_FUNCTION: u64 = number(1);
const LINE_LINE: u64 = number(2);
const FUNCTION_NAME: u64 = number(2);
const FUNCTION_SYSTEM_NAME: u64 = number(3);
const FUNCTION_FILE: u64 = number(4);
const FUNCTION_START_LINE: u64 = number(5);

/// The frame of a location that nothing is known about.
const UNKNOWN: &str = "[unknown]";

/// The string table, borrowed from the bytes; strings that name something are interned on first use.
pub(super) struct Strings<'b> {
    /// The pieces of the profile that contain strings, and all between them.
    pieces: &'b [Piece<'b>],
    places: &'b [(u32, u32)],
    /// Of each string, its interned text; `None` before its first use.
    interned: Vec<Option<TextId>>,
    interner: Interner,
    name_limit: u64,
}

impl<'b> Strings<'b> {
    pub(super) fn new(pieces: &'b [Piece<'b>], outline: &'b Outline, limits: &ReadLimits) -> Result<Self, ReadError> {
        let bytes = outline.strings.iter().map(|(start, end)| (end - start) as usize).sum();
        let strings = Self {
            pieces,
            places: &outline.strings,
            interned: vec![None; outline.strings.len()],
            interner: Interner::with_room(bytes, outline.strings.len(), outline.function_count),
            name_limit: limits.name,
        };
        match strings.places.first() {
            Some(_) if !strings.bytes(0)?.is_empty() => Err(ReadError::malformed("its first string is not empty", 0)),
            _ => Ok(strings),
        }
    }

    /// The string as it was sent.
    pub(super) fn bytes(&self, index: u64) -> Result<&'b [u8], ReadError> {
        let (start, end) = self.place(index)?;
        Ok(self.between(start as usize, end as usize).unwrap_or(&[]))
    }

    fn is_empty(&self, index: u64) -> Result<bool, ReadError> {
        self.place(index).map(|(start, end)| start == end)
    }

    #[inline]
    fn place(&self, index: u64) -> Result<(u32, u32), ReadError> {
        match usize::try_from(index).ok().and_then(|index| self.places.get(index)) {
            Some(place) => Ok(*place),
            // A profile without a string table has the empty string, which every absent field names.
            None if index == 0 => Ok((0, 0)),
            None => Err(ReadError::malformed(format!("it names string {index}, and has {}", self.places.len()), 0)),
        }
    }

    fn between(&self, start: usize, end: usize) -> Option<&'b [u8]> {
        let piece = match self.pieces {
            [only] => only,
            pieces => pieces.get(pieces.partition_point(|piece| piece.start <= start).checked_sub(1)?)?,
        };
        piece.bytes.get(start.checked_sub(piece.start)?..end.checked_sub(piece.start)?)
    }

    /// The string, with U+FFFD for what is not UTF-8 and for U+0000.
    pub(super) fn sanitised(&self, index: u64) -> Result<Cow<'b, str>, ReadError> {
        Ok(crate::profile::text::sanitise(self.bytes(index)?))
    }

    pub(super) fn owned(&self, index: u64) -> Result<String, ReadError> {
        Ok(self.sanitised(index)?.into_owned())
    }

    pub(super) fn value_type(&self, (name, unit): &(u64, u64)) -> Result<SampleType, ReadError> {
        let text = |index| {
            let text = self.owned(index)?;
            LimitName::Name.check(text.len(), self.name_limit)?;
            Ok(text)
        };
        Ok(SampleType { name: text(*name)?, unit: text(*unit)? })
    }

    fn intern(&mut self, index: u64) -> Result<TextId, ReadError> {
        let place = usize::try_from(index).unwrap_or(usize::MAX);
        if let Some(Some(known)) = self.interned.get(place) {
            return Ok(*known);
        }
        let bytes = self.bytes(index)?;
        LimitName::Name.check(bytes.len(), self.name_limit)?;
        let id = self.interner.sent(bytes);
        if let Some(place) = self.interned.get_mut(place) {
            *place = Some(id);
        }
        Ok(id)
    }

    pub(super) fn into_symbols(self) -> Arc<Symbols> {
        self.interner.finish()
    }
}

/// The locations, resolved to functions.
pub(super) struct Locations {
    ids: Ids,
    /// Of each location, its frame; [`FunctionId::NONE`] where several are inlined, and in front of all: ids count from 1.
    single: Vec<FunctionId>,
    frames: Vec<FunctionId>,
    /// The frames of the location at place n lie from bound n to bound n + 1.
    bounds: Vec<u32>,
}

impl Locations {
    pub(super) fn read<'p>(
        pieces: impl Iterator<Item = &'p Piece<'p>> + Clone,
        outline: &Outline,
        strings: &mut Strings<'_>,
    ) -> Result<Self, ReadError> {
        let functions = Functions::read(pieces.clone(), outline.function_count, strings)?;
        let mut mappings = Mappings::read(pieces.clone())?;
        let mut bounds = Vec::with_capacity(outline.location_count + 1);
        bounds.push(0);
        let mut single = Vec::with_capacity(outline.location_count + 1);
        single.push(FunctionId::NONE);
        let mut locations =
            Self { ids: Ids::default(), single, frames: Vec::with_capacity(outline.location_count), bounds };
        for piece in pieces {
            for run in piece.runs(&piece.locations) {
                locations.run(run, &functions, &mut mappings, strings).map_err(|error| error.behind(piece.start))?;
            }
        }
        locations.ids.seal("location")?;
        Ok(locations)
    }

    fn run(
        &mut self,
        mut run: Wire<'_>,
        functions: &Functions,
        mappings: &mut Mappings,
        strings: &mut Strings<'_>,
    ) -> Result<(), ReadError> {
        while let Some(tag) = run.tag()? {
            match tag {
                LOCATION => self.push(run.delimited()?, functions, mappings, strings)?,
                _ => run.skip(tag)?,
            }
        }
        Ok(())
    }

    fn push(
        &mut self,
        mut location: Wire<'_>,
        functions: &Functions,
        mappings: &mut Mappings,
        strings: &mut Strings<'_>,
    ) -> Result<(), ReadError> {
        let (mut id, mut mapping) = (0, 0);
        let start = self.frames.len();
        while let Some(tag) = location.tag()? {
            match tag {
                ID => id = location.varint()?,
                LOCATION_MAPPING => mapping = location.varint()?,
                LOCATION_LINE => {
                    if let Some((function, line)) = functions.of_line(location.delimited()?)? {
                        self.frames.push(function);
                        if !functions.have_starts {
                            strings.interner.line(function, line);
                        }
                    }
                }
                _ => location.skip(tag)?,
            }
        }
        if self.frames.len() == start {
            self.frames.push(mappings.frame(mapping, strings)?);
        }
        let single = match self.frames.get(start..) {
            Some([single]) => *single,
            _ => FunctionId::NONE,
        };
        let end =
            u32::try_from(self.frames.len()).map_err(|_| ReadError::malformed("too many lines", location.at()))?;
        self.single.push(single);
        self.bounds.push(end);
        self.ids.push(id);
        Ok(())
    }

    /// The frames of a location, the innermost inlined function first.
    #[inline]
    pub(super) fn of(&self, id: u64) -> Option<&[FunctionId]> {
        let place = self.ids.place(id)?;
        let (start, end) = (*self.bounds.get(place)?, *self.bounds.get(place + 1)?);
        self.frames.get(start as usize..end as usize)
    }

    /// Where ids count up, as they nearly always do, the frame of each location by its id; [`FunctionId::NONE`] where it has
    /// none, or several that are inlined.
    pub(super) fn single(&self) -> Option<&[FunctionId]> {
        self.ids.count_up().then_some(&self.single)
    }
}

/// The functions, interned.
struct Functions {
    ids: Ids,
    list: Vec<FunctionId>,
    /// Whether the profiler recorded the lines in which functions start. Then sampled lines say nothing more.
    have_starts: bool,
}

impl Functions {
    fn read<'p>(
        pieces: impl Iterator<Item = &'p Piece<'p>>,
        count: usize,
        strings: &mut Strings<'_>,
    ) -> Result<Self, ReadError> {
        let mut all = Self { ids: Ids::default(), list: Vec::with_capacity(count), have_starts: false };
        for piece in pieces {
            for run in piece.runs(&piece.functions) {
                all.run(run, strings).map_err(|error| error.behind(piece.start))?;
            }
        }
        all.ids.seal("function")?;
        Ok(all)
    }

    fn run(&mut self, mut run: Wire<'_>, strings: &mut Strings<'_>) -> Result<(), ReadError> {
        while let Some(tag) = run.tag()? {
            if tag != FUNCTION {
                run.skip(tag)?;
                continue;
            }
            let mut message = run.delimited()?;
            let (mut id, mut name, mut system_name, mut file, mut start) = (0, 0, 0, 0, 0);
            while let Some(tag) = message.tag()? {
                match tag {
                    ID => id = message.varint()?,
                    FUNCTION_NAME => name = message.varint()?,
                    FUNCTION_SYSTEM_NAME => system_name = message.varint()?,
                    FUNCTION_FILE => file = message.varint()?,
                    FUNCTION_START_LINE => start = line_number(message.varint()?),
                    _ => message.skip(tag)?,
                }
            }
            if strings.is_empty(name)? {
                name = system_name;
            }
            let name = if strings.is_empty(name)? { strings.interner.text(UNKNOWN) } else { strings.intern(name)? };
            let file = strings.intern(file)?;
            let function = strings.interner.function(Function { name, file });
            strings.interner.line(function, start);
            self.have_starts |= start > 0;
            self.list.push(function);
            self.ids.push(id);
        }
        Ok(())
    }

    /// The function of a location's line and the number of the line, 0 where it is not known; `None` where the line names
    /// no function.
    fn of_line(&self, mut line: Wire<'_>) -> Result<Option<(FunctionId, u32)>, ReadError> {
        let (mut id, mut number) = (0, 0);
        while let Some(tag) = line.tag()? {
            match tag {
                LINE_FUNCTION => id = line.varint()?,
                LINE_LINE => number = line_number(line.varint()?),
                _ => line.skip(tag)?,
            }
        }
        if id == 0 {
            return Ok(None);
        }
        match self.ids.place(id).and_then(|place| self.list.get(place)) {
            Some(function) => Ok(Some((*function, number))),
            None => Err(ReadError::malformed(format!("a location names function {id}: unknown"), line.at())),
        }
    }
}

/// The number of a line; 0, not known, for what can be none.
fn line_number(sent: u64) -> u32 {
    u32::try_from(sent).unwrap_or(0)
}

/// The mapped files, by id, each with its frame once that was needed.
struct Mappings(Vec<(u64, u64, Option<FunctionId>)>);

impl Mappings {
    fn read<'p>(pieces: impl Iterator<Item = &'p Piece<'p>>) -> Result<Self, ReadError> {
        let mut all = Self(Vec::new());
        for piece in pieces {
            for run in piece.runs(&piece.mappings) {
                all.run(run).map_err(|error| error.behind(piece.start))?;
            }
        }
        all.0.sort_unstable();
        Ok(all)
    }

    fn run(&mut self, mut run: Wire<'_>) -> Result<(), ReadError> {
        while let Some(tag) = run.tag()? {
            if tag != MAPPING {
                run.skip(tag)?;
                continue;
            }
            let mut message = run.delimited()?;
            let (mut id, mut file) = (0, 0);
            while let Some(tag) = message.tag()? {
                match tag {
                    ID => id = message.varint()?,
                    MAPPING_FILE => file = message.varint()?,
                    _ => message.skip(tag)?,
                }
            }
            self.0.push((id, file, None));
        }
        Ok(())
    }

    /// The frame for an address in this mapping: its file's name in brackets, as `pprof` shows it.
    fn frame(&mut self, id: u64, strings: &mut Strings<'_>) -> Result<FunctionId, ReadError> {
        let at = self.0.binary_search_by_key(&id, |(id, ..)| *id).ok();
        let mut mapping = at.and_then(|at| self.0.get_mut(at));
        let file = match &mapping {
            Some((.., Some(known))) => return Ok(*known),
            Some((_, file, None)) => strings.bytes(*file)?,
            None => &[],
        };
        LimitName::Name.check(file.len(), strings.name_limit)?;
        let file = crate::profile::text::sanitise(file);
        let base = file.rsplit(['/', '\\']).next().unwrap_or("").trim();
        let name = match base {
            "" => strings.interner.text(UNKNOWN),
            base if base.starts_with('[') => strings.interner.text(base),
            base => strings.interner.text(&format!("[{base}]")),
        };
        let file = strings.interner.text(&file);
        let frame = strings.interner.function(Function { name, file });
        if let Some((.., known)) = &mut mapping {
            *known = Some(frame);
        }
        Ok(frame)
    }
}
