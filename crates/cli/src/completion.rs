//! Scripts with which shells complete our commands.

use clap::builder::ValueHint;
use clap::{Arg, ArgAction};
use clap_complete::{Shell, generate};

use crate::console;
use crate::cosmovisor::table::{Args, Command, Flag, Kind};

/// Prints the script for a shell.
pub(crate) fn print(shell: Shell, name: &str, mut commands: clap::Command) {
    let mut script = Vec::new();
    generate(shell, &mut commands, name, &mut script);
    console::out(&String::from_utf8_lossy(&script));
}

/// The commands of the `cosmovisor` face for the generator, with or without what explains them.
pub(crate) fn of_table(command: &'static Command, described: bool) -> clap::Command {
    let mut made = clap::Command::new(command.name())
        .disable_help_subcommand(true)
        .disable_version_flag(true);
    if described {
        made = made.about(command.short);
    }
    let flags = command.flags.iter().map(|flag| of_flag(flag, described));
    made = made.args(flags);
    if command.args != Args::None && command.commands.is_empty() {
        made = made.arg(of_arguments(command));
    }
    let below = command.commands.iter();
    made.subcommands(below.map(|below| of_table(below, described)))
}

fn of_flag(flag: &'static Flag, described: bool) -> Arg {
    let mut arg = Arg::new(flag.name)
        .long(flag.name)
        .global(flag.name == crate::cosmovisor::table::CONFIG_FLAG);
    if let Some(letter) = flag.letter {
        arg = arg.short(letter);
    }
    if described {
        arg = arg.help(flag.help);
    }
    match flag.kind {
        Kind::Bool => arg.action(ArgAction::SetTrue),
        Kind::Path => arg.value_hint(ValueHint::FilePath),
        Kind::Int | Kind::Text | Kind::List => arg.action(ArgAction::Set),
    }
}

fn of_arguments(command: &Command) -> Arg {
    let arguments = Arg::new("arguments").num_args(0..);
    match command.args {
        Args::Everything => arguments
            .trailing_var_arg(true)
            .allow_hyphen_values(true)
            .value_hint(ValueHint::CommandWithArguments),
        Args::Exactly(_) => arguments.value_hint(ValueHint::AnyPath),
        Args::Any | Args::None => arguments,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cosmovisor::table::ROOT;

    fn script(shell: Shell, described: bool) -> String {
        let mut commands = of_table(&ROOT, described);
        commands.clone().debug_assert();
        let mut script = Vec::new();
        generate(shell, &mut commands, "cosmovisor", &mut script);
        String::from_utf8(script).unwrap()
    }

    #[test]
    fn every_shell_learns_every_command() {
        for shell in [Shell::Bash, Shell::Zsh, Shell::Fish, Shell::PowerShell] {
            let script = script(shell, true);
            for command in ROOT.commands {
                assert!(
                    script.contains(command.name()),
                    "{shell}: {}",
                    command.name()
                );
            }
            assert!(script.contains("upgrade-height"), "{shell}");
        }
    }

    #[test]
    fn descriptions_can_be_left_out() {
        let text = "overwrite the upgrade";
        assert!(script(Shell::Zsh, true).contains(text));
        assert!(!script(Shell::Zsh, false).contains(text));
    }
}
