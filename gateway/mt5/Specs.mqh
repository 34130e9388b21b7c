// Tells the other side what the broker says of the symbols that are traded or quoted here: its
// configuration may say something else, and sizes go by that.

#include "Facts.mqh"

#define SPECS_EVERY_MS 10000
#define SPECS_MAX 256

class Specs
{
private:
    string names_[];
    uint told_[];  // CRC of what was told in this session; 0 = nothing yet
    ulong session_;
    ulong next_ms_;

    bool make(const string symbol, uchar &b[])
    {
        double contract = SymbolInfoDouble(symbol, SYMBOL_TRADE_CONTRACT_SIZE);
        if (contract <= 0)
            return false;  // not there yet, or the broker has none of that name
        ArrayInitialize(b, 0);
        put_text(b, 0, TEXT_BYTES, symbol);
        put_i64(b, 16, to_scaled(contract));
        put_i64(b, 24, to_scaled(SymbolInfoDouble(symbol, SYMBOL_VOLUME_MIN)));
        put_i64(b, 32, to_scaled(SymbolInfoDouble(symbol, SYMBOL_VOLUME_MAX)));
        put_i64(b, 40, to_scaled(SymbolInfoDouble(symbol, SYMBOL_VOLUME_STEP)));
        put_i64(b, 48, to_scaled(SymbolInfoDouble(symbol, SYMBOL_TRADE_TICK_SIZE)));
        put_u32(b, 56, (uint)SymbolInfoInteger(symbol, SYMBOL_TRADE_STOPS_LEVEL));
        put_u32(b, 60, (uint)SymbolInfoInteger(symbol, SYMBOL_TRADE_FREEZE_LEVEL));
        put_u8(b, 64, (int)SymbolInfoInteger(symbol, SYMBOL_DIGITS));
        put_u8(b, 65, (int)SymbolInfoInteger(symbol, SYMBOL_TRADE_MODE));
        put_u8(b, 66, (int)SymbolInfoInteger(symbol, SYMBOL_FILLING_MODE));
        put_text(b, 72, 8, SymbolInfoString(symbol, SYMBOL_CURRENCY_PROFIT));
        return true;
    }

public:
    Specs() { reset(); }
    void reset()
    {
        ArrayResize(names_, 0);
        ArrayResize(told_, 0);
        session_ = 0;
        next_ms_ = 0;
    }

    /// From now on this symbol is told.
    void watch(const string symbol)
    {
        if (symbol == "" || ArraySize(names_) >= SPECS_MAX)
            return;
        for (int i = 0; i < ArraySize(names_); i++)
            if (names_[i] == symbol)
                return;
        int n = ArraySize(names_);
        ArrayResize(names_, n + 1, 16);
        ArrayResize(told_, n + 1, 16);
        names_[n] = symbol;
        told_[n] = 0;
        next_ms_ = 0;
    }

    /// Once a session, and what has changed. While the lists can be believed: before that, the
    /// terminal may still show what it knew yesterday.
    void update(const ulong session)
    {
        bool anew = session != session_;
        if (!g_account.ready() || (!anew && now_ms() < next_ms_) || g_link.waiting_bytes() > 0)
            return;
        if (anew)
            ArrayInitialize(told_, 0);
        session_ = session;
        next_ms_ = now_ms() + SPECS_EVERY_MS;
        for (int i = 0; i < ArraySize(names_); i++)
        {
            uchar b[SYMBOL_BYTES];
            if (!make(names_[i], b))
                continue;
            uint crc = crc32c(b, 0, SYMBOL_BYTES);
            if (crc == 0)
                crc = 1;
            if (crc == told_[i])
                continue;
            told_[i] = crc;
            g_link.send(FRAME_SYMBOL, 0, b, SYMBOL_BYTES);
        }
    }
};

Specs g_specs;
