"""The evidence service: who asks, is it their answer, is it genuine, store it."""
