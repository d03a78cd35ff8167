//! What a row of the table consists of.

use serde_json::Value;

use crate::body::{Complaint, Field};
use crate::input::Input;

/// One command.
#[derive(Debug)]
pub struct Command {
    /// Its name, as typed.
    pub name: &'static str,
    /// Its arguments, as the usage line shows them.
    pub usage: &'static str,
    /// What it does, in a line.
    pub about: &'static str,
    /// How many arguments it takes.
    pub arguments: Arguments,
    /// Its flags, besides those that all commands have.
    pub flags: &'static [Flag],
    /// What it calls.
    pub endpoint: Endpoint,
    /// What it sends.
    pub body: Body,
    /// How the answer is printed.
    pub answer: Answer,
    /// Who else has this command.
    pub origin: Origin,
    /// Whether the node must have its wallet enabled.
    pub needs_wallet: bool,
}

/// Which endpoint a command calls.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Endpoint {
    /// The one of this name.
    Named(&'static str),
    /// The one that the first argument names.
    Typed,
}

/// How many arguments a command takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Arguments {
    /// At least so many.
    pub min: usize,
    /// At most so many.
    pub max: usize,
}

/// A flag of one command.
#[derive(Debug)]
pub struct Flag {
    /// Its long name, without dashes.
    pub name: &'static str,
    /// Its letter.
    pub letter: Option<char>,
    /// What its value is.
    pub kind: FlagKind,
    /// Its value if it is not given.
    pub default: &'static str,
    /// What it is for.
    pub help: &'static str,
    /// When the command cannot do without it.
    pub required: Option<Requirement>,
    /// Whether bytomcli has it too.
    pub is_addition: bool,
}

/// When a flag must be given: always, or if another flag has a certain value.
#[derive(Debug, Clone, Copy)]
pub enum Requirement {
    /// Always.
    Always,
    /// If the flag of this name has this value.
    If(&'static str, &'static str),
}

/// What a flag's value is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FlagKind {
    /// Any text.
    Text,
    /// An integer.
    Number,
    /// An integer from zero.
    Count,
    /// Given or not; `--flag=false` is not given.
    Switch,
}

/// What a command sends.
#[derive(Debug)]
pub enum Body {
    /// Nothing.
    Empty,
    /// An object of these fields.
    Fields(&'static [Field]),
    /// What this function makes.
    Made(fn(&Input) -> Result<Value, Complaint>),
}

/// How a successful answer is printed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Answer {
    /// The object, indented, with its keys sorted. Anything else than an object is a bad answer.
    Object,
    /// Each item with its number. Anything else than a list is a bad answer.
    List,
    /// Whatever came, indented; nothing if nothing came.
    Any,
    /// This sentence, whatever came.
    Said(&'static str),
    /// A template: what kind it is, then the object on one line; indented with `--pretty`.
    Template,
    /// A signed template: an object on one line under a title; indented with `--pretty`.
    Signed,
    /// The first sentence if the first argument was `true`, else the second.
    Switched(&'static str, &'static str),
}

/// Who else has a command.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Origin {
    /// `bytomcli` of bytomd v2, and mostly of v1.
    Bytomcli,
    /// `bytomcli` of bytomd v1 only.
    BytomcliV1,
    /// Nobody: the endpoint was there, the command was not.
    Addition,
}

/// A row of `bytomcli`'s: no arguments, no body, an object as the answer, until told otherwise.
pub(crate) const fn row(name: &'static str, usage: &'static str, about: &'static str) -> Command {
    Command {
        name,
        usage,
        about,
        arguments: exactly(0),
        flags: &[],
        endpoint: Endpoint::Named(name),
        body: Body::Empty,
        answer: Answer::Object,
        origin: Origin::Bytomcli,
        needs_wallet: false,
    }
}

/// A row that `bytomcli` lacks.
pub(crate) const fn addition(
    name: &'static str,
    usage: &'static str,
    about: &'static str,
) -> Command {
    let mut command = row(name, usage, about);
    command.origin = Origin::Addition;
    command
}

/// A row that only v1's `bytomcli` has.
pub(crate) const fn in_v1(name: &'static str, usage: &'static str, about: &'static str) -> Command {
    let mut command = row(name, usage, about);
    command.origin = Origin::BytomcliV1;
    command
}

impl Command {
    pub(crate) const fn takes(mut self, arguments: Arguments) -> Self {
        self.arguments = arguments;
        self
    }

    pub(crate) const fn flags(mut self, flags: &'static [Flag]) -> Self {
        self.flags = flags;
        self
    }

    pub(crate) const fn calls(mut self, endpoint: Endpoint) -> Self {
        self.endpoint = endpoint;
        self
    }

    pub(crate) const fn sends(mut self, fields: &'static [Field]) -> Self {
        self.body = Body::Fields(fields);
        self
    }

    pub(crate) const fn makes(mut self, make: fn(&Input) -> Result<Value, Complaint>) -> Self {
        self.body = Body::Made(make);
        self
    }

    pub(crate) const fn prints(mut self, answer: Answer) -> Self {
        self.answer = answer;
        self
    }

    pub(crate) const fn says(self, sentence: &'static str) -> Self {
        self.prints(Answer::Said(sentence))
    }

    pub(crate) const fn of_wallet(mut self) -> Self {
        self.needs_wallet = true;
        self
    }
}

/// Exactly so many arguments.
pub(crate) const fn exactly(count: usize) -> Arguments {
    between(count, count)
}

/// So many arguments or more.
pub(crate) const fn at_least(min: usize) -> Arguments {
    between(min, usize::MAX)
}

/// So many arguments, or up to so many.
pub(crate) const fn between(min: usize, max: usize) -> Arguments {
    Arguments { min, max }
}

const fn flag(name: &'static str, kind: FlagKind, help: &'static str) -> Flag {
    Flag {
        name,
        letter: None,
        kind,
        default: "",
        help,
        required: None,
        is_addition: false,
    }
}

/// A flag with any text.
pub(crate) const fn text(name: &'static str, help: &'static str) -> Flag {
    flag(name, FlagKind::Text, help)
}

/// A flag with an integer.
pub(crate) const fn number(name: &'static str, help: &'static str) -> Flag {
    flag(name, FlagKind::Number, help)
}

/// A flag with an integer from zero.
pub(crate) const fn count(name: &'static str, help: &'static str) -> Flag {
    flag(name, FlagKind::Count, help).or("0")
}

/// A flag without a value.
pub(crate) const fn switch(name: &'static str, help: &'static str) -> Flag {
    flag(name, FlagKind::Switch, help)
}

impl Flag {
    pub(crate) const fn letter(mut self, letter: char) -> Self {
        self.letter = Some(letter);
        self
    }

    pub(crate) const fn or(mut self, default: &'static str) -> Self {
        self.default = default;
        self
    }

    pub(crate) const fn required(mut self) -> Self {
        self.required = Some(Requirement::Always);
        self
    }

    pub(crate) const fn required_if(mut self, flag: &'static str, value: &'static str) -> Self {
        self.required = Some(Requirement::If(flag, value));
        self
    }

    pub(crate) const fn added(mut self) -> Self {
        self.is_addition = true;
        self
    }
}
