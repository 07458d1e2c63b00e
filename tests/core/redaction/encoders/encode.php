<?php
// Writes each value as the encoders of PHP's core do. In: a value in base64 a line. Out: the name of an encoder and
// what it made, in base64.
while (($line = fgets(STDIN)) !== false) {
    $text = base64_decode(trim($line));
    $made = [
        'json' => json_encode($text),
        'json unescaped' => json_encode($text, JSON_UNESCAPED_SLASHES | JSON_UNESCAPED_UNICODE),
        'json hex' => json_encode($text, JSON_HEX_TAG | JSON_HEX_AMP | JSON_HEX_APOS | JSON_HEX_QUOT),
        'var_export' => var_export($text, true),
        'addslashes' => addslashes($text),
        'addcslashes' => addcslashes($text, "\0..\37\177..\377\"'\\$"),
        'htmlspecialchars' => htmlspecialchars($text),
        'htmlentities' => htmlentities($text, ENT_QUOTES | ENT_HTML401),
        'htmlentities 5' => htmlentities($text, ENT_QUOTES | ENT_HTML5),
        'urlencode' => urlencode($text),
        'rawurlencode' => rawurlencode($text),
        'query' => http_build_query(['a' => $text]),
        'quoted-printable' => quoted_printable_encode($text),
        'base64 chunks' => chunk_split(base64_encode("password:$text, and some more text that follows it"), 76),
        'hex' => bin2hex($text),
        'hex chunks' => chunk_split(bin2hex($text), 2, ' '),
    ];
    foreach ($made as $name => $encoded) {
        echo $name, "\t", base64_encode($encoded), "\n";
    }
}
