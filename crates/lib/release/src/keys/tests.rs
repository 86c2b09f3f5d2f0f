use super::*;

const SSH: &str =
    "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJrWcXpwxT2D2ao9QyBPZHxXj3+xxlg/9ZuRcBq+lDN9 ci@example";
/// minisign's own, of its web page.
const MINISIGN: &str = "RWQf6LRCGA9i53mlYecO4IzT51TGPpvWucNSCh1CBM0QTaLn73Y7GFO3";

#[test]
fn keys_are_read_as_their_tools_write_them() {
    let file = format!(
        "# the one in force\n{SSH}\n\nuntrusted comment: minisign public key E7620F1842B4E81F\n{MINISIGN}\n"
    );
    let keys = ReleaseKeys::read(&file).unwrap();
    let names: Vec<String> = keys.as_slice().iter().map(ToString::to_string).collect();
    assert!(names[0].starts_with("ssh key SHA256:"), "{names:?}");
    assert_eq!(names[1], "minisign key E7620F1842B4E81F");
}

#[test]
fn a_file_without_a_usable_key_is_no_file_without_keys() {
    let rsa = "ssh-rsa AAAAB3NzaC1yc2EAAAADAQABAAAAgQC7 x";
    let many = format!("{SSH}\n").repeat(MAX_KEYS + 1);
    for (text, said) in [
        ("", "there is no key"),
        ("# nothing\n\n", "there is no key"),
        (rsa, "line 1: keys of the kind `ssh-rsa`"),
        ("\nssh-ed25519 AAAA", "line 2: `ssh-ed25519 …`"),
        (
            "RWQf6LRCGA9i53mlYecO4IzT51TGPpvWucNSCh1CBM0QTaLn73Y7",
            "is no public key",
        ),
        ("-----BEGIN OPENSSH PRIVATE KEY-----", "a private key stands"),
        (
            "untrusted comment: minisign encrypted secret key",
            "a private key stands",
        ),
        (many.as_str(), "more than 32 keys"),
    ] {
        let error = ReleaseKeys::read(text).unwrap_err().to_string();
        assert!(error.contains(said), "{said}: {error}");
    }
}
