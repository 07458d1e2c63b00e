# Writes each value as the encoders of Ruby's standard library do. In: a value in base64 a line. Out: the name of an
# encoder and what it made, in base64.
require 'base64'
require 'cgi'
require 'erb'
require 'json'
require 'shellwords'
require 'uri'
require 'yaml'

$stdin.each_line do |line|
  data = Base64.decode64(line)
  text = data.dup.force_encoding('UTF-8')
  {
    'json' => JSON.generate(text),
    'json ascii' => JSON.generate(text, ascii_only: true),
    'json script' => JSON.generate(text, script_safe: true),
    'inspect' => text.inspect,
    'dump' => text.dump,
    'shell' => Shellwords.escape(text),
    'cgi' => CGI.escape(text),
    'html' => CGI.escapeHTML(text),
    'erb url' => ERB::Util.url_encode(text),
    'form' => URI.encode_www_form_component(text),
    'yaml' => YAML.dump({ 'a' => text }),
    'base64' => Base64.encode64("key=#{text};"),
    'base64url' => Base64.urlsafe_encode64(text),
    'hex' => data.unpack1('H*'),
  }.each { |name, made| puts "#{name}\t#{Base64.strict_encode64(made)}" }
end
