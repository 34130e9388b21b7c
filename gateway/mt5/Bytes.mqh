// Little-endian fields in byte arrays, CRC32C, HMAC-SHA256: what the bridge protocol and the intent
// journal are written in (gateway/BRIDGE.md).

#define TEXT_BYTES 16

void put_u8(uchar &b[], const int at, const int v) { b[at] = (uchar)v; }

void put_u16(uchar &b[], const int at, const int v)
{
    b[at] = (uchar)(v & 255);
    b[at + 1] = (uchar)((v >> 8) & 255);
}

void put_u32(uchar &b[], const int at, const uint v)
{
    for (int i = 0; i < 4; i++)
        b[at + i] = (uchar)((v >> (8 * i)) & 255);
}

void put_u64(uchar &b[], const int at, const ulong v)
{
    for (int i = 0; i < 8; i++)
        b[at + i] = (uchar)((v >> (8 * i)) & 255);
}

void put_i64(uchar &b[], const int at, const long v) { put_u64(b, at, (ulong)v); }

int get_u8(const uchar &b[], const int at) { return (int)b[at]; }

int get_u16(const uchar &b[], const int at) { return (int)b[at] | ((int)b[at + 1] << 8); }

uint get_u32(const uchar &b[], const int at)
{
    uint v = 0;
    for (int i = 3; i >= 0; i--)
        v = (v << 8) | (uint)b[at + i];
    return v;
}

ulong get_u64(const uchar &b[], const int at)
{
    ulong v = 0;
    for (int i = 7; i >= 0; i--)
        v = (v << 8) | (ulong)b[at + i];
    return v;
}

long get_i64(const uchar &b[], const int at) { return (long)get_u64(b, at); }

/// Text of `bytes` at most, zero padded, not necessarily terminated. UTF-8.
void put_text(uchar &b[], const int at, const int bytes, const string text)
{
    uchar raw[];
    int n = StringToCharArray(text, raw, 0, WHOLE_ARRAY, CP_UTF8) - 1;  // without the zero
    for (int i = 0; i < bytes; i++)
        b[at + i] = (i < n) ? raw[i] : (uchar)0;
}

string get_text(const uchar &b[], const int at, const int bytes)
{
    int n = 0;
    while (n < bytes && b[at + n] != 0)
        n++;
    if (n == 0)
        return "";
    return CharArrayToString(b, at, n, CP_UTF8);
}

// -- CRC32C (Castagnoli, reflected) ---------------------------------------------------------------

uint crc_table[256];
bool crc_table_made = false;

void make_crc_table()
{
    for (int i = 0; i < 256; i++)
    {
        uint c = (uint)i;
        for (int k = 0; k < 8; k++)
            c = ((c & 1) != 0) ? ((c >> 1) ^ 0x82F63B78) : (c >> 1);
        crc_table[i] = c;
    }
    crc_table_made = true;
}

/// Feeds `count` bytes into a running checksum. Begin with 0xFFFFFFFF, invert at the end.
uint crc_feed(uint crc, const uchar &b[], const int at, const int count)
{
    if (!crc_table_made)
        make_crc_table();
    for (int i = 0; i < count; i++)
        crc = crc_table[(crc ^ (uint)b[at + i]) & 255] ^ (crc >> 8);
    return crc;
}

uint crc32c(const uchar &b[], const int at, const int count)
{
    return ~crc_feed(0xFFFFFFFF, b, at, count);
}

uint text_crc(const string text)
{
    uchar raw[];
    int n = StringToCharArray(text, raw, 0, WHOLE_ARRAY, CP_UTF8) - 1;  // without the zero
    return crc32c(raw, 0, n);
}

// -- HMAC-SHA256 ----------------------------------------------------------------------------------

bool sha256(const uchar &data[], uchar &digest[])
{
    uchar no_key[];
    ArrayResize(no_key, 0);
    return CryptEncode(CRYPT_HASH_SHA256, data, no_key, digest) == 32;
}

/// RFC 2104. @param key 1..64 bytes. @return false if the terminal cannot hash.
bool hmac_sha256(const uchar &key[], const uchar &message[], uchar &mac[])
{
    int key_bytes = ArraySize(key);
    int message_bytes = ArraySize(message);
    uchar inner[];
    uchar outer[];
    uchar digest[];
    ArrayResize(inner, 64 + message_bytes);
    ArrayResize(outer, 64 + 32);
    for (int i = 0; i < 64; i++)
    {
        uchar k = (i < key_bytes) ? key[i] : (uchar)0;
        inner[i] = (uchar)(k ^ 0x36);
        outer[i] = (uchar)(k ^ 0x5C);
    }
    for (int i = 0; i < message_bytes; i++)
        inner[64 + i] = message[i];
    if (!sha256(inner, digest))
        return false;
    for (int i = 0; i < 32; i++)
        outer[64 + i] = digest[i];
    return sha256(outer, mac);
}

int hex_digit(const ushort c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    if (c >= 'a' && c <= 'f')
        return c - 'a' + 10;
    if (c >= 'A' && c <= 'F')
        return c - 'A' + 10;
    return -1;
}

/// Reads a key written in hexadecimal. @return false unless it is 1..64 whole bytes.
bool key_of_hex(const string text, uchar &key[])
{
    int digits = StringLen(text);
    if (digits < 2 || digits > 128 || digits % 2 != 0)
        return false;
    ArrayResize(key, digits / 2);
    for (int i = 0; i < digits / 2; i++)
    {
        int high = hex_digit(StringGetCharacter(text, 2 * i));
        int low = hex_digit(StringGetCharacter(text, 2 * i + 1));
        if (high < 0 || low < 0)
            return false;
        key[i] = (uchar)(16 * high + low);
    }
    return true;
}

/// Prices, volumes and money travel as whole numbers of 1e-8.
long to_scaled(const double v) { return (long)MathRound(v * 100000000.0); }
double from_scaled(const long v) { return (double)v / 100000000.0; }
