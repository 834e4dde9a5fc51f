"""Many runs, one after the other and side by side: does one fail, and does anything grow?"""
