//! The machine: stacks, gas, and the step from one instruction to the next.
//!
//! A predicate runs in a frame of its own on the same two stacks, above the items that belong to the frames that wait
//! for it, so that neither a program's depth nor its stack can exhaust the stack of the process.
//!
//! Gas is paid in two ways. What an opcode does is paid at once; the memory of what it takes and leaves is mostly
//! settled after it (`_later`), so that an opcode that replaces an item needs gas for the difference only.

use std::borrow::Cow;
use std::mem;
use std::ops::Range;

use ruint::aliases::U256;

use super::context::Context;
use super::error::Error;
use super::instruction::{Location, locate};
use super::number;
use super::opcode::Op;

/// What a stack holds; borrowed from the program or the arguments where it can be.
pub(super) type Item<'a> = Cow<'a, [u8]>;

/// The gas an item occupies besides one for each byte.
const ITEM_OVERHEAD: i64 = 8;

/// More gas than any transaction can buy, and far from overflowing.
const MAX_GAS: u64 = 1 << 60;

static TRUE: [u8; 1] = [1];

pub(super) struct Machine<'a> {
    pub(super) context: &'a Context<'a>,
    stack: Vec<Item<'a>>,
    alt: Vec<Item<'a>>,
    frame: Frame<'a>,
    /// The frames whose predicate is running, innermost last.
    waiting: Vec<Frame<'a>>,
    signature_hash: Option<[u8; 32]>,
}

/// A running program and what it owns.
struct Frame<'a> {
    program: Item<'a>,
    /// Where the next instruction stands.
    next: usize,
    op: Op,
    operand: Range<usize>,
    gas: i64,
    /// Gas to settle when the instruction is done; negative is a refund.
    deferred: i64,
    /// Memory on the stacks that was not paid for because the gas was spent.
    unpaid: i64,
    stack_base: usize,
    alt_base: usize,
    alt_used: bool,
    expansion_reserved: bool,
}

impl<'a> Frame<'a> {
    fn new(program: Item<'a>, gas: i64) -> Self {
        Frame {
            program,
            next: 0,
            op: Op::FALSE,
            operand: 0..0,
            gas,
            deferred: 0,
            unpaid: 0,
            stack_base: 0,
            alt_base: 0,
            alt_used: false,
            expansion_reserved: false,
        }
    }
}

impl<'a> Machine<'a> {
    /// A machine with the state data on the alternative stack and the arguments on the data stack, the last on top.
    pub(super) fn new(context: &'a Context<'a>, gas: u64) -> Result<Self, Error> {
        let gas = i64::try_from(gas.min(MAX_GAS)).expect("MAX_GAS is within i64");
        let mut frame = Frame::new(Cow::Borrowed(context.program), gas);
        frame.expansion_reserved = context.tx_version == Some(1);
        let mut machine = Machine {
            context,
            stack: Vec::with_capacity(16),
            alt: Vec::new(),
            frame,
            waiting: Vec::new(),
            signature_hash: None,
        };
        for state in context.state {
            machine.charge(memory(state))?;
            machine.push_alt(Cow::Borrowed(state));
        }
        for argument in context.arguments {
            machine.push_now(Cow::Borrowed(argument.as_slice()))?;
        }
        Ok(machine)
    }

    /// Runs the program to its end; the gas that is left.
    pub(super) fn run(mut self) -> Result<u64, Error> {
        loop {
            let ended = if self.frame.next < self.frame.program.len() {
                match self.step() {
                    Ok(()) => continue,
                    Err(Error::Unexpected) => return Err(Error::Unexpected),
                    Err(error) => Err(error),
                }
            } else if self.top().is_ok_and(|item| number::is_true(item)) {
                Ok(())
            } else {
                Err(Error::FalseResult)
            };
            let Some(parent) = self.waiting.pop() else {
                return ended.map(|()| self.frame.gas.unsigned_abs());
            };
            self.resume(parent, ended.is_ok())?;
        }
    }

    fn step(&mut self) -> Result<(), Error> {
        let frame = &mut self.frame;
        let Location { op, operand } = locate(&frame.program, frame.next)?;
        if frame.expansion_reserved && op.is_expansion() {
            return Err(Error::DisallowedOpcode);
        }
        frame.next = operand.end;
        frame.op = op;
        frame.operand = operand;
        frame.deferred = 0;
        let definition = op.definition();
        self.charge(definition.cost)?;
        (definition.run)(self)?;
        self.settle()
    }

    /// Pays what was deferred. What it cannot pay is not refunded when a waiting frame takes the stacks over.
    fn settle(&mut self) -> Result<(), Error> {
        let deferred = mem::take(&mut self.frame.deferred);
        self.charge(deferred)
            .inspect_err(|_| self.frame.unpaid = deferred)
    }

    /// Starts `program` on the `count` topmost items with `gas` of its own.
    pub(super) fn call(&mut self, program: Item<'a>, count: usize, gas: i64) {
        let mut frame = Frame::new(program, gas);
        frame.stack_base = self.stack.len() - count;
        frame.alt_base = self.alt.len();
        self.waiting.push(mem::replace(&mut self.frame, frame));
    }

    /// Ends the running frame: its gas and memory return to the parent, which gets the result as an item.
    fn resume(&mut self, parent: Frame<'a>, result: bool) -> Result<(), Error> {
        let child = mem::replace(&mut self.frame, parent);
        let items = self
            .stack
            .drain(child.stack_base..)
            .chain(self.alt.drain(child.alt_base..));
        let held: i64 = items.map(|item| memory(&item)).sum();
        self.frame.deferred -= child.gas + held - child.unpaid;
        self.push_bool(result);
        self.settle()
    }

    /// Takes gas; spends all that is left if it is too little. A negative cost is a refund.
    pub(super) fn charge(&mut self, cost: i64) -> Result<(), Error> {
        if cost > self.frame.gas {
            self.frame.gas = 0;
            return Err(Error::RunLimitExceeded);
        }
        self.frame.gas -= cost;
        Ok(())
    }

    /// Takes gas once the instruction is done.
    pub(super) fn charge_later(&mut self, cost: i64) {
        self.frame.deferred += cost;
    }

    pub(super) fn gas(&self) -> i64 {
        self.frame.gas
    }

    /// How many items of the data stack belong to the running frame.
    pub(super) fn depth(&self) -> usize {
        self.stack.len() - self.frame.stack_base
    }

    /// The frame's items, the topmost last.
    pub(super) fn items(&mut self) -> &mut [Item<'a>] {
        &mut self.stack[self.frame.stack_base..]
    }

    /// The frame's `count` topmost items, the topmost last.
    pub(super) fn topmost(&mut self, count: usize) -> Result<&mut [Item<'a>], Error> {
        let first = self
            .depth()
            .checked_sub(count)
            .ok_or(Error::DataStackUnderflow)?;
        Ok(&mut self.items()[first..])
    }

    pub(super) fn top(&self) -> Result<&Item<'a>, Error> {
        self.stack[self.frame.stack_base..]
            .last()
            .ok_or(Error::DataStackUnderflow)
    }

    /// Takes the topmost item without refunding its memory.
    pub(super) fn take(&mut self) -> Result<Item<'a>, Error> {
        if self.depth() == 0 {
            return Err(Error::DataStackUnderflow);
        }
        self.stack.pop().ok_or(Error::DataStackUnderflow)
    }

    /// Puts an item on top whose memory is paid already.
    pub(super) fn put(&mut self, item: Item<'a>) {
        self.stack.push(item);
    }

    pub(super) fn pop_now(&mut self) -> Result<Item<'a>, Error> {
        let item = self.take()?;
        self.frame.gas += memory(&item);
        Ok(item)
    }

    pub(super) fn pop_later(&mut self) -> Result<Item<'a>, Error> {
        let item = self.take()?;
        self.charge_later(-memory(&item));
        Ok(item)
    }

    pub(super) fn pop_number_now(&mut self) -> Result<U256, Error> {
        number::decode(&self.pop_now()?)
    }

    pub(super) fn pop_number_later(&mut self) -> Result<U256, Error> {
        number::decode(&self.pop_later()?)
    }

    pub(super) fn pop_count_later(&mut self) -> Result<i64, Error> {
        number::to_count(self.pop_number_later()?)
    }

    pub(super) fn push_now(&mut self, item: Item<'a>) -> Result<(), Error> {
        self.charge(memory(&item))?;
        self.put(item);
        Ok(())
    }

    pub(super) fn push_later(&mut self, item: Item<'a>) {
        self.charge_later(memory(&item));
        self.put(item);
    }

    pub(super) fn push_number(&mut self, number: U256) {
        self.push_later(Cow::Owned(number::encode(number)));
    }

    pub(super) fn push_bool(&mut self, value: bool) {
        self.push_later(Cow::Borrowed(if value { &TRUE } else { &[] }));
    }

    pub(super) fn push_alt(&mut self, item: Item<'a>) {
        self.frame.alt_used = true;
        self.alt.push(item);
    }

    pub(super) fn pop_alt(&mut self) -> Result<Item<'a>, Error> {
        if self.alt.len() == self.frame.alt_base {
            return Err(Error::AltStackUnderflow);
        }
        self.alt.pop().ok_or(Error::AltStackUnderflow)
    }

    /// The frame's alternative stack, and whether anything was ever on it.
    pub(super) fn alt(&self) -> (&[Item<'a>], bool) {
        (&self.alt[self.frame.alt_base..], self.frame.alt_used)
    }

    pub(super) fn expansion_reserved(&self) -> bool {
        self.frame.expansion_reserved
    }

    pub(super) fn op(&self) -> Op {
        self.frame.op
    }

    /// The operand of the instruction, borrowed if the program is.
    pub(super) fn operand(&self) -> Item<'a> {
        let range = self.frame.operand.clone();
        match &self.frame.program {
            Cow::Borrowed(program) => Cow::Borrowed(&program[range]),
            Cow::Owned(program) => Cow::Owned(program[range].to_vec()),
        }
    }

    /// Goes on at the address in the operand; beyond the end means the end.
    pub(super) fn jump(&mut self) {
        let operand = &self.frame.program[self.frame.operand.clone()];
        let address = operand
            .try_into()
            .map(u32::from_le_bytes)
            .expect("a jump has four bytes");
        self.frame.next = address as usize;
    }

    /// What a signature of this entry signs, asked for once.
    pub(super) fn signature_hash(&mut self) -> Result<[u8; 32], Error> {
        let tx = self.context.tx.ok_or(Error::WrongContext)?;
        Ok(*self
            .signature_hash
            .get_or_insert_with(|| tx.signature_hash()))
    }
}

/// The gas an item occupies while it is on a stack.
fn memory(item: &[u8]) -> i64 {
    ITEM_OVERHEAD + length(item)
}

/// A length as gas. Slices are shorter than 2⁶³ bytes.
pub(super) fn length(item: &[u8]) -> i64 {
    i64::try_from(item.len()).expect("a slice is shorter than i64::MAX")
}
