//! `startup-guard generate`: generates the values of secrets, and prints them or fills them into an env file.

mod edit;
mod fill;
mod git;
mod replace;
#[cfg(test)]
mod tests;

use super::arguments::Generate;
use crate::environment::Environment;
use crate::error::Error;
use crate::exit::Exit;
use crate::manifest::{self, GenerateFormat, Manifest, Variable};
use crate::os::random_bytes;
use crate::text::did_you_mean;

/// How often a value is generated anew if it breaks the variable's rule.
const ATTEMPTS: usize = 100;

/// Prints the generated values, or fills in an env file.
///
/// # Errors
/// If an input cannot be read, if an output cannot be written, or if a variable cannot be generated.
pub fn run(arguments: &Generate, environment: &Environment) -> Result<(), Error> {
    let manifest = super::manifest(&arguments.manifest, environment, false)?;
    let variables = selected(&manifest, &arguments.names)?;
    if let Some(file) = &arguments.env_file {
        return fill::fill(file, arguments, &variables, &manifest, environment);
    }
    let mut lines = String::new();
    for variable in &variables {
        let value = generated(variable, &[])?;
        // A single value can be piped to another program. No dialect needs quotes around it.
        lines += &match arguments.names.len() {
            1 => format!("{value}\n"),
            _ => format!("{}={value}\n", variable.name),
        };
    }
    super::print(&lines)
}

/// The named variables, or all that can be generated for this service alone.
///
/// # Errors
/// If a name is unknown, or if there is nothing to generate.
fn selected<'m>(manifest: &'m Manifest, names: &[String]) -> Result<Vec<&'m Variable>, Error> {
    let variables = || manifest.variables.iter();
    if names.is_empty() {
        let own: Vec<&Variable> = variables()
            .filter(|each| each.generate.is_some() && !each.shared)
            .collect();
        if own.is_empty() {
            let text = "the manifest has no variable with the key `generate` that is not `shared`; add `generate: {bytes: 32, format: base64}` to each secret to generate";
            return super::failure(Exit::USAGE, text);
        }
        return Ok(own);
    }
    let mut selected: Vec<&Variable> = Vec::new();
    for name in names {
        let Some(variable) = variables().find(|each| each.name == *name) else {
            let near = did_you_mean(name, variables().map(|each| each.name.as_str()));
            let name = name.escape_debug();
            let text = format!("the manifest does not declare the variable `{name}`{near}");
            return super::failure(Exit::USAGE, text);
        };
        if variable.shared {
            tracing::warn!(
                "{name} is shared with other services: set the new value on each of them"
            );
        }
        if !selected.iter().any(|other| other.name == *name) {
            selected.push(variable);
        }
    }
    Ok(selected)
}

/// A new value for a variable, which is none of `taken`.
///
/// # Errors
/// If the manifest does not say how to generate it, if the system has no random bytes, or if the generator's values break
/// the variable's rule.
fn generated(variable: &Variable, taken: &[&str]) -> Result<String, Error> {
    let Some(generate) = variable.generate else {
        let text = format!(
            "the manifest does not say how to generate {}; add `generate: {{bytes: 32, format: base64}}` to it, or set it to the value that you were given",
            variable.name
        );
        return super::failure(Exit::USAGE, text);
    };
    let mut problem = String::new();
    for _ in 0..ATTEMPTS {
        let value = random_text(generate)?;
        if variable.admits(&value) && !taken.contains(&value.as_str()) {
            return Ok(value);
        }
        // A finding does not contain the value.
        let findings = variable.rule.findings(&value).into_iter();
        let certain = findings.map(|finding| finding.problem).next();
        problem = certain.unwrap_or_else(|| "is a placeholder".to_owned());
    }
    let text = format!(
        "{}: its key `generate` contradicts its rule: a generated value {problem}; change one of them",
        variable.name
    );
    super::failure(Exit::INVALID_ENVIRONMENT, text)
}

/// A random text in the generator's format.
///
/// # Errors
/// If the system has no random bytes.
fn random_text(generate: manifest::Generate) -> Result<String, Error> {
    let random = |count| random_bytes(count).map_err(Error::system("generate random bytes"));
    let alphabet = generate.format.alphabet().as_bytes();
    let (length, padding) = generate.length();
    let mut text = String::with_capacity(length + padding);
    if generate.format == GenerateFormat::Alphanumeric {
        while text.len() < length {
            // Of the 64 numbers of 6 bits, those behind the alphabet are discarded, so that all characters are equally
            // likely.
            let numbers = random(length)?
                .into_iter()
                .map(|byte| usize::from(byte & 63));
            let characters = numbers.filter_map(|number| alphabet.get(number));
            let missing = length - text.len();
            text.extend(characters.take(missing).copied().map(char::from));
        }
        return Ok(text);
    }
    let bits = alphabet.len().ilog2();
    let (mut buffer, mut count) = (0_u32, 0);
    let mut push = |number: u32| text.push(char::from(alphabet[number as usize % alphabet.len()]));
    for byte in random(generate.size as usize)? {
        buffer = buffer << 8 | u32::from(byte);
        count += 8;
        while count >= bits {
            count -= bits;
            push(buffer >> count);
        }
    }
    if count > 0 {
        push(buffer << (bits - count));
    }
    text.extend(std::iter::repeat_n('=', padding));
    Ok(text)
}
