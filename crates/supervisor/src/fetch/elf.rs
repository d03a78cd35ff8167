//! The headers of an ELF file, as far as they tell whether it runs here and whether all of it is there.

/// What an ELF header says (System V ABI, chapter 4).
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Elf {
    /// The word size.
    pub(super) bits: u8,
    pub(super) little_endian: bool,
    pub(super) machine: u16,
    /// 2 for an executable, 3 for a shared object, which most executables are today.
    pub(super) kind: u16,
    /// The program interpreter it asks for.
    pub(super) loader: Option<String>,
    /// How long the file must at least be.
    pub(super) end: u64,
    /// How long it is.
    pub(super) len: u64,
}

/// ELF machine numbers, word sizes and Rust's names.
const MACHINES: [(u16, u8, &str); 10] = [
    (3, 32, "x86"),
    (8, 64, "mips64"),
    (20, 32, "powerpc"),
    (21, 64, "powerpc64"),
    (22, 64, "s390x"),
    (40, 32, "arm"),
    (62, 64, "x86_64"),
    (183, 64, "aarch64"),
    (243, 64, "riscv64"),
    (258, 64, "loongarch64"),
];

/// The machine number and word size of an architecture in Rust's words, if we know it.
pub(super) fn machine(arch: &str) -> Option<(u16, u8)> {
    MACHINES
        .iter()
        .find(|(_, _, name)| *name == arch)
        .map(|&(number, bits, _)| (number, bits))
}

impl Elf {
    /// The machine's name for messages.
    pub(super) fn machine_name(&self) -> String {
        let known = MACHINES
            .iter()
            .find(|(number, bits, _)| (*number, *bits) == (self.machine, self.bits));
        match known {
            Some((.., "powerpc64")) if self.little_endian => "powerpc64le".to_owned(),
            Some((.., name)) => (*name).to_owned(),
            None => format!("machine {} ({} bits)", self.machine, self.bits),
        }
    }

    /// Reads the headers of a file of `len` bytes that begins with `head`; `None` if that is too little.
    pub(super) fn parse(head: &[u8], len: u64) -> Option<Self> {
        const INTERPRETER: u64 = 3;
        let bits = match head.get(4)? {
            1 => 32,
            2 => 64,
            _ => return None,
        };
        let little_endian = *head.get(5)? == 1;
        let number = |at: u64, size: usize| -> Option<u64> {
            let at = usize::try_from(at).ok()?;
            let bytes = head.get(at..at.checked_add(size)?)?;
            let fold = |value: u64, byte: &u8| value << 8 | u64::from(*byte);
            Some(if little_endian {
                bytes.iter().rev().fold(0, fold)
            } else {
                bytes.iter().fold(0, fold)
            })
        };
        let short = |at| number(at, 2).and_then(|n| u16::try_from(n).ok());
        // Offsets of the same fields in the 32-bit and the 64-bit layouts.
        let wide = bits == 64;
        let pick = |narrow: u64, wide_at: u64| if wide { wide_at } else { narrow };
        let address = |at| number(at, if wide { 8 } else { 4 });

        let programs = (
            address(pick(28, 32))?,
            short(pick(42, 54))?,
            short(pick(44, 56))?,
        );
        let sections = (
            address(pick(32, 40))?,
            short(pick(46, 58))?,
            short(pick(48, 60))?,
        );
        let table_end = |(offset, size, count): (u64, u16, u16)| match count {
            0 => 0,
            _ => offset.saturating_add(u64::from(size) * u64::from(count)),
        };
        let mut end = table_end(programs).max(table_end(sections));
        let mut loader = None;
        for index in 0..u64::from(programs.2) {
            let at = programs.0.checked_add(index * u64::from(programs.1))?;
            // Headers beyond what was read are no reason to refuse.
            let Some(kind) = number(at, 4) else { break };
            let offset = address(at.checked_add(pick(4, 8))?)?;
            let size = address(at.checked_add(pick(16, 32))?)?;
            end = end.max(offset.saturating_add(size));
            if kind == INTERPRETER {
                loader = text_at(head, offset, size);
            }
        }
        Some(Self {
            bits,
            little_endian,
            kind: short(16)?,
            machine: short(18)?,
            loader,
            end,
            len,
        })
    }
}

fn text_at(head: &[u8], offset: u64, size: u64) -> Option<String> {
    let start = usize::try_from(offset).ok()?;
    let size = usize::try_from(size).ok()?;
    let bytes = head.get(start..start.checked_add(size)?)?;
    let bytes = bytes.strip_suffix(b"\0").unwrap_or(bytes);
    Some(String::from_utf8_lossy(bytes).into_owned())
}
