#include "tools/millrace/key_config.h"

#include "tools/millrace/key_file.h"

#include <filesystem>

namespace millrace {

void read_key(ObjectReader& o, const std::string& folder, std::vector<std::byte>& key) {
    std::string hex;
    std::string path;
    std::string why;
    o.text("key", hex, {0, 1024});
    o.text("key_file", path, {1, 4096});
    if (o.has("key") == o.has("key_file")) {
        o.complain("",
                   "needs exactly one of \"key\" (hex) and \"key_file\" (path of a file with it)");
    } else if (o.has("key")) {
        key = parse_key(hex, why);
    } else if (!path.empty()) {
        key = read_key_file(std::filesystem::absolute(std::filesystem::path{folder} / path)
                                .lexically_normal()
                                .string(),
                            why);
    }
    if (!why.empty()) {
        o.complain(o.has("key") ? "key" : "key_file", why);
    }
}

}  // namespace millrace
